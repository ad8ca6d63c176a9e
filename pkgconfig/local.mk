pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = pkgconfig/kvol.pc
