dnl KV_MISSING(WHAT, DEBIAN-PACKAGE, FEDORA-PACKAGE)
dnl Notes something that cannot be done without; KV_MISSING_REPORT tells of all at once.
AC_DEFUN([KV_MISSING], [
	kv_missing="$kv_missing
    $1"
	case " $kv_missing_debian " in *" $2 "*) ;; *) kv_missing_debian="$kv_missing_debian $2" ;; esac
	case " $kv_missing_fedora " in *" $3 "*) ;; *) kv_missing_fedora="$kv_missing_fedora $3" ;; esac
])

dnl KV_NEED_MODULE(VARIABLE-PREFIX, PKG-CONFIG MODULE AND VERSION, DEBIAN-PACKAGE, FEDORA-PACKAGE)
AC_DEFUN([KV_NEED_MODULE], [
	AS_IF([test -n "$PKG_CONFIG"],
		[PKG_CHECK_MODULES([$1], [$2], [], [KV_MISSING([$2], [$3], [$4])])],
		[KV_MISSING([$2], [$3], [$4])])
])

dnl KV_WANT_MODULE(VARIABLE-PREFIX, PKG-CONFIG MODULE AND VERSION)
dnl An optional one: sets have_PREFIX and the automake conditional HAVE_PREFIX.
AC_DEFUN([KV_WANT_MODULE], [
	have_$1=no
	AS_IF([test -n "$PKG_CONFIG"],
		[PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [have_$1=no])])
	AM_CONDITIONAL([HAVE_$1], [test "$have_$1" = yes])
])

dnl KV_NEED_HEADER(HEADER, DEBIAN-PACKAGE, FEDORA-PACKAGE, [DECLARATION])
dnl With DECLARATION the header must also be new enough to declare it.
AC_DEFUN([KV_NEED_HEADER], [
	AC_CHECK_HEADER([$1],
		[m4_ifval([$4], [AC_CHECK_DECL([$4], [],
			[KV_MISSING([$1 with $4], [$2], [$3])], [[#include <$1>]])], [:])],
		[KV_MISSING([$1], [$2], [$3])])
])

dnl Ends configure with one message if anything is missing.
AC_DEFUN([KV_MISSING_REPORT], [
	AS_IF([test -n "$kv_missing"], [AC_MSG_ERROR([missing:$kv_missing

  Debian: apt install$kv_missing_debian
  Fedora: dnf install$kv_missing_fedora])])
])

dnl KV_CFLAGS(VARIABLE, FLAG...)
dnl Appends each flag that the compiler takes without complaint.
AC_DEFUN([KV_CFLAGS], [
	m4_foreach_w([kv_flag], [$2], [
		AS_VAR_PUSHDEF([cache], [kv_cv_cflag_]kv_flag)
		AC_CACHE_CHECK([whether $CC takes ]kv_flag, [cache], [
			kv_save_cflags=$CFLAGS
			CFLAGS="$CFLAGS -Werror kv_flag"
			AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([cache], [yes])],
				[AS_VAR_SET([cache], [no])])
			CFLAGS=$kv_save_cflags
		])
		AS_VAR_IF([cache], [yes], [$1="$$1 kv_flag"])
		AS_VAR_POPDEF([cache])
	])
])
