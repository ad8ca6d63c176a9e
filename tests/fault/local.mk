# Fault tests: native, on the model; every one ends each call somewhere in its middle and looks at what is left.
# A new one is one line in fault_tests and two below it.

fault_tests =

if HAVE_CMOCKA
check_PROGRAMS += $(fault_tests)
endif

print-fault-tests:
	@for t in $(fault_tests); do echo "$(abs_builddir)/$$t"; done

.PHONY: print-fault-tests
