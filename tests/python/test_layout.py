# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the Python package's structs, constants and signatures against <kvol/kvol.h>,
and what that includes.

The header is read for what there is, and a C compiler is asked for where it is: a field that is in
one of the two only fails, as does one that lies elsewhere. Run by tests/python/run.
"""

import ctypes
import os
import re
import shlex
import subprocess
import tempfile
import unittest

import kvol
from kvol import _constants, _functions, _structs

SRCDIR = os.environ["KV_SRCDIR"]
BUILDDIR = os.environ["KV_BUILDDIR"]


def read_header(name):
    with open(os.path.join(SRCDIR, "include", "kvol", name), encoding="utf-8") as f:
        return re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S)


HEADER = "".join(map(read_header, ("kvol.h", "template.h")))


def header_structs():
    """{struct name: [field names]} of every struct that the header defines."""
    found = {}
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", HEADER, flags=re.S | re.M):
        fields = []
        for declaration in body.split(";"):
            declaration = declaration.strip()
            if not declaration:
                continue
            function = re.search(r"\(\*(\w+)\)", declaration)
            if function:
                fields.append(function.group(1))
                continue
            # "uint64_t a, b" and "char name[256]": the last word of each part, without its array.
            for part in declaration.split(","):
                fields.append(re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*$", part).group(1))
        found[name] = fields
    return found


def header_functions():
    """{function: (result type, number of parameters)}"""
    found = {}
    pattern = r"^((?:const )?\w+) (\**)(kvol_\w+)\(([^)]*)\);"
    for result, stars, name, params in re.findall(pattern, HEADER, flags=re.M):
        params = params.strip()
        count = 0 if params in ("", "void") else params.count(",") + 1
        found[name] = (result + (" " + stars if stars else ""), count)
    return found


def compile_and_run(lines):
    """The output lines of a C program with these statements in main()."""
    cc = shlex.split(os.environ.get("KV_CC", "cc"))
    with tempfile.TemporaryDirectory() as directory:
        source = os.path.join(directory, "layout.c")
        program = os.path.join(directory, "layout")
        with open(source, "w", encoding="ascii") as f:
            f.write("#include <stddef.h>\n#include <stdio.h>\n#include <kvol/kvol.h>\n")
            f.write("int main(void)\n{\n")
            f.writelines("\t%s\n" % line for line in lines)
            f.write("\treturn 0;\n}\n")
        subprocess.run(
            cc + ["-std=gnu11", "-Wall", "-Werror", "-I", os.path.join(BUILDDIR, "include"),
                  "-I", os.path.join(SRCDIR, "include"), source, "-o", program], check=True)
        out = subprocess.run([program], check=True, stdout=subprocess.PIPE)
    return out.stdout.decode("ascii").split("\n")[:-1]


class Structs(unittest.TestCase):
    def test_every_struct_of_the_header_has_a_mirror(self):
        mirrors = sorted(s.__name__ for s in _structs.STRUCTS)
        self.assertEqual(mirrors, sorted(header_structs()))

    def test_every_field_of_the_header_has_a_mirror(self):
        structs = header_structs()
        for mirror in _structs.STRUCTS:
            with self.subTest(struct=mirror.__name__):
                fields = [name for name, _ in mirror._fields_]
                self.assertEqual(fields, structs[mirror.__name__])

    def test_sizes_and_offsets_are_those_of_c(self):
        python, lines = [], []
        for mirror in _structs.STRUCTS:
            name = mirror.__name__
            python.append("%s %d" % (name, ctypes.sizeof(mirror)))
            lines.append('printf("%s %%zu\\n", sizeof(struct %s));' % (name, name))
            for field, _ in mirror._fields_:
                at = getattr(mirror, field)
                python.append("%s.%s %d %d" % (name, field, at.offset, at.size))
                lines.append('printf("%s.%s %%zu %%zu\\n", offsetof(struct %s, %s), '
                             "sizeof(((struct %s *)0)->%s));" % ((name, field) * 3))
        self.assertEqual(python, compile_and_run(lines))


class Constants(unittest.TestCase):
    def test_every_constant_of_the_header_is_there_with_its_value(self):
        names = re.findall(r"^#define KVOL_(\w+)[ \t]+\S", HEADER, flags=re.M)
        values = compile_and_run(['printf("%%lld\\n", (long long)KVOL_%s);' % n for n in names])
        header = dict(zip(names, map(int, values)))
        python = {n: v for n, v in vars(_constants).items() if not n.startswith("_")}
        self.assertEqual(python, header)


class Functions(unittest.TestCase):
    def test_every_function_of_the_header_has_its_types(self):
        result = {"int": ctypes.c_int, "void": None, "const char *": ctypes.c_char_p}
        header = {n: (result[r], count) for n, (r, count) in header_functions().items()}
        python = {n: (r, len(args)) for n, (r, args) in _functions.FUNCTIONS.items()}
        self.assertEqual(python, header)

    def test_the_package_has_the_header_s_version(self):
        values = compile_and_run(['printf("%%d\\n", KVOL_VERSION_%s);' % n
                                  for n in ("MAJOR", "MINOR", "PATCH")])
        self.assertEqual(kvol.__version__, ".".join(values))
        with open(os.path.join(SRCDIR, "bindings", "python", "pyproject.toml"),
                  encoding="utf-8") as f:
            self.assertIn('version = "%s"' % kvol.__version__, f.read())
