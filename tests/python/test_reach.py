# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that the header offers can be reached from the Pythonic layer.

The mirrors (_structs, _functions, _constants) are held against the header by test_layout; here the
rest of the package is read, and what it does not use is named.
"""

import ast
import ctypes
import dataclasses
import os

import kvol
from kvol import _constants, _enums, _errors, _functions, _structs, _types

PACKAGE = os.path.dirname(kvol.__file__)
MIRRORS = {"_structs.py", "_functions.py", "_constants.py"}

# What another function does as well.
SUPERSEDED = {"kvol_list": "kvol_list_filtered"}
# Filled and read by the package for all structs, or for nobody.
PLUMBING = {"size", "flags", "reserved0", "log_arg"}
# struct: the dataclass of what it tells.
TOLD = {
    "kvol_pool_info": kvol.PoolInfo,
    "kvol_repair_info": kvol.RepairInfo,
    "kvol_info": kvol.Volume,
    "kvol_volume_stats": kvol.VolumeStats,
    "kvol_usage_info": kvol.Usage,
    "kvol_why_info": kvol.Holder,
    "kvol_publish_info": kvol.Publish,
}


def trees():
    for name in sorted(os.listdir(PACKAGE)):
        if name.endswith(".py") and name not in MIRRORS:
            with open(os.path.join(PACKAGE, name), encoding="utf-8") as f:
                yield ast.parse(f.read(), name)


NODES = [node for tree in trees() for node in ast.walk(tree)]


def missing(what, names, place):
    return ["%s is not in the Pythonic layer: %s" % (what % name, place) for name in sorted(names)]


def test_every_function_is_called():
    called = {n.value for n in NODES if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    names = {n for n in _functions.FUNCTIONS if SUPERSEDED.get(n, n) not in called}
    assert not missing("%s()", names, "add a method to kvol/_pool.py")


def given_fields():
    """{struct: the fields that options(s.STRUCT, ..., FIELD=...) gives}"""
    found = {}
    for node in NODES:
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and
                node.func.attr == "options" and isinstance(node.args[0], ast.Attribute)):
            fields = found.setdefault(node.args[0].attr, set())
            for keyword in node.keywords:
                # **self._labels(...)
                fields.update([keyword.arg] if keyword.arg else ["labels", "n_labels"])
    return found


def test_every_field_of_an_options_struct_is_given():
    given, absent = given_fields(), set()
    for struct in _structs.STRUCTS:
        name = struct.__name__
        if name.endswith(("_opts", "_limits")):
            fields = {f for f, _ in struct._fields_} - PLUMBING
            absent |= {"%s.%s" % (name, f) for f in fields - given.get(name, set())}
    assert not missing("%s", absent, "add a keyword to the method in kvol/_pool.py that fills it")


def test_every_field_of_an_info_struct_is_told():
    absent = set()
    for struct in _structs.STRUCTS:
        name = struct.__name__
        if not name.endswith(("_info", "_stats")):
            continue
        if name not in TOLD:
            absent.add(name)
            continue
        told = {_types.RENAMED.get(f.name, f.name) for f in dataclasses.fields(TOLD[name])}
        fields = {f for f, _ in struct._fields_} - {"size", "reserved0", "n_labels"}
        absent |= {"%s.%s" % (name, f) for f in fields - told}
        assert not told - fields, "%s has no %s" % (name, told - fields)
    assert not missing("%s", absent, "add a line to its dataclass in kvol/_types.py (and TOLD here)")


def test_every_constant_is_used():
    used = {n.attr for n in NODES
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "c"}
    used |= {a.name for n in NODES if isinstance(n, ast.ImportFrom) and n.module == "_constants"
             for a in n.names}
    names = {n for n in vars(_constants) if not n.startswith("_")}
    assert not missing("KVOL_%s", names - used,
                       "add it to kvol/_enums.py, or as a keyword of a method of kvol/_pool.py")


def test_every_reason_has_an_exception():
    reasons = set(_enums.Reason) - {_enums.Reason.NONE}
    assert not missing("%s", {r.name for r in reasons - set(_errors.CLASSES)},
                       "add its exception to kvol/_errors.py")
    assert len(set(_errors.CLASSES.values())) == len(reasons)
    for kind in _errors.CLASSES.values():
        assert issubclass(kind, kvol.Error) and getattr(kvol, kind.__name__) is kind


def test_what_is_public_is_exported_and_documented():
    for name in kvol.__all__:
        assert hasattr(kvol, name)
        thing = getattr(kvol, name)
        assert isinstance(thing, int) or (thing.__doc__ or "").strip(), name
    for kind in (kvol.Pool, kvol.Context, kvol.Listing):
        for name, thing in vars(kind).items():
            if not name.startswith("_") and callable(thing):
                assert thing.__doc__, "%s.%s" % (kind.__name__, name)
    classes = {n for m in (_enums, _errors, _types) for n, v in vars(m).items()
               if isinstance(v, type) and v.__module__ == m.__name__ and not n.startswith("_")}
    assert classes <= set(kvol.__all__)


def test_numbers_of_a_newer_library_are_no_error():
    reason = kvol.Reason(4711)
    assert (reason, reason.name) == (4711, "UNKNOWN_4711")
    assert type(_errors.error(5, "x", 4711)) is kvol.Error
    assert kvol.PoolFlags(1 << 31) & kvol.PoolFlags.AUDIT == 0


def test_the_keywords_of_an_options_struct_are_its_fields():
    for name, fields in given_fields().items():
        struct = getattr(_structs, name, None)
        if struct is not None and issubclass(struct, ctypes.Structure):
            assert not fields - {f for f, _ in struct._fields_}, name
