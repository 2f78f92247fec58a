"""Finds places in a C++ source file where a small slip can be put in, by clang's syntax tree.

A slip is a range of the text, what stands there in its place, and whether it is an expression (chosen between at run time) or a
statement (left out at run time).
"""
import dataclasses
import pathlib
import re
import subprocess

import clang.cindex as cindex
from clang.cindex import CursorKind, TypeKind

SWAPPED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+"}
BORDERS = {"<", "<=", ">", ">=", "==", "!="}
# How often each kind is drawn.
WEIGHTS = {"border": 25, "condition": 25, "dropped": 25, "constant": 13, "arithmetic": 12}
# Room asked for ahead of time and the like changes no result.
NOT_DROPPED = re.compile(r"[\w.\->]*\b(reserve|shrink_to_fit|setlocale|fflush)\(|assert|static_cast<void>|HWY_|LAZULI_")
LITERAL = re.compile(r"\d+(U|L|UL|ULL|LL|u|l)?$")
# Subtrees that are evaluated by the compiler, or are no code.
SKIPPED = {CursorKind.STATIC_ASSERT, CursorKind.ENUM_DECL, CursorKind.TEMPLATE_NON_TYPE_PARAMETER, CursorKind.CXX_THROW_EXPR}


@dataclasses.dataclass(frozen=True)
class Slip:
    file: str
    line: int
    begin: int  # bytes of the file
    end: int
    kind: str
    old: str
    new: str  # empty: the statement is left out

    def __str__(self):
        change = f"{shown(self.old)} -> {shown(self.new)}" if self.new else f"left out: {shown(self.old)}"
        return f"{self.file}:{self.line}: {change}"

    def text(self, number):
        if self.kind == "nothing":
            return self.old
        on = f"lazuli_mutants::is_on({number})"
        if not self.new:
            return f"if (!{on}) {self.old}"
        return f"({on} ? ({self.new}) : ({self.old}))"


def bool_of(text):
    return f"static_cast<bool>({text})"


def shown(text):
    text = " ".join(text.split()).replace("static_cast<bool>", "")
    return text if len(text) <= 90 else text[:60] + " ... " + text[-25:]


class Parser:
    """Parses files with the flags that the build compiles them with."""

    def __init__(self, commands):
        self.index = cindex.Index.create()
        self.commands = commands
        resources = subprocess.run(["clang-14", "-print-resource-dir"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self.extra = ["-resource-dir", resources, "-w", "-ferror-limit=0"]

    def parse(self, path, text=None):
        command = self.commands[str(path)]
        flags = [a for a in command[1:] if re.match(r"-[ID]|-std|-isystem", a)]
        unsaved = [(str(path), text)] if text is not None else None
        return self.index.parse(str(path), flags + self.extra, unsaved)


class Finder:
    def __init__(self, root, path, unit, source):
        self.file = str(pathlib.Path(path).relative_to(root))
        self.path = str(path)
        self.source = source
        self.slips = []
        for cursor in unit.cursor.get_children():
            if cursor.location.file and cursor.location.file.name == self.path:
                self.visit(cursor, None)

    def range(self, cursor):
        extent = cursor.extent
        inside = extent.start.file and extent.start.file.name == self.path and extent.end.file and extent.end.file.name == self.path
        return (extent.start.offset, extent.end.offset) if inside else (0, 0)

    def text(self, begin, end):
        return self.source[begin:end].decode()

    def add(self, kind, cursor_range, old, new):
        begin, end = cursor_range
        if begin < end and "\n#" not in old and "//" not in old:
            line = self.source.count(b"\n", 0, begin) + 1
            self.slips.append(Slip(self.file, line, begin, end, kind, old, new))

    def visit(self, cursor, parent):
        if cursor.kind in SKIPPED:
            return
        tokens = self.text(*self.range(cursor))
        if cursor.kind in (CursorKind.VAR_DECL, CursorKind.FUNCTION_DECL, CursorKind.CXX_METHOD, CursorKind.FIELD_DECL):
            head = tokens.split("{")[0].split("=")[0]
            if re.search(r"\b(constexpr|consteval)\b", head):
                return
        if cursor.kind == CursorKind.BINARY_OPERATOR:
            self.operator(cursor)
        elif cursor.kind == CursorKind.IF_STMT:
            self.condition(cursor)
        elif cursor.kind == CursorKind.INTEGER_LITERAL:
            self.constant(cursor, tokens)
        elif cursor.kind == CursorKind.CALL_EXPR and re.match(r"std::(min|max)\b", tokens):
            other = tokens.replace("std::min", "std::max", 1) if tokens.startswith("std::min") else tokens.replace("std::max", "std::min", 1)
            self.add("border", self.range(cursor), tokens, other)
        if cursor.kind == CursorKind.COMPOUND_STMT:
            for child in cursor.get_children():
                self.statement(child)
        for child in cursor.get_children():
            if cursor.kind == CursorKind.CASE_STMT and child.kind == CursorKind.INTEGER_LITERAL:
                continue
            self.visit(child, cursor)

    def operator(self, cursor):
        children = list(cursor.get_children())
        if len(children) != 2:
            return
        whole, left, right = self.range(cursor), self.range(children[0]), self.range(children[1])
        # In a macro the parts do not lie in the whole, one after the other.
        if not (whole[0] == left[0] < left[1] <= right[0] < right[1] == whole[1]):
            return
        op, old = self.text(left[1], right[0]).strip(), self.text(*whole)
        a, b = self.text(*left), self.text(*right)
        if op in ("&&", "||"):
            for part in (a, b):
                self.add("condition", whole, old, bool_of(part))
        elif op in SWAPPED and all(is_number(c.type) for c in children):
            self.add("border" if op in BORDERS else "arithmetic", whole, old, f"{a} {SWAPPED[op]} {b}")

    def condition(self, cursor):
        children = list(cursor.get_children())
        head = self.text(*self.range(cursor)).split("(")[0]
        if "constexpr" in head or len(children) not in (2, 3) or not children[0].kind.is_expression():
            return
        whole = self.range(children[0])
        old = self.text(*whole)
        if old:
            self.add("condition", whole, bool_of(old), "false")
            self.add("condition", whole, bool_of(old), "!" + bool_of(old))

    def constant(self, cursor, text):
        if LITERAL.match(text):
            digits = re.match(r"\d+", text).group()
            self.add("constant", self.range(cursor), text, str(int(digits) + 1) + text[len(digits):])

    def statement(self, child):
        kinds = (CursorKind.CALL_EXPR, CursorKind.COMPOUND_ASSIGNMENT_OPERATOR, CursorKind.CONTINUE_STMT, CursorKind.UNARY_OPERATOR)
        assigns = child.kind == CursorKind.BINARY_OPERATOR and re.search(r"[^=!<>]=[^=]", self.text(*self.range(child)))
        whole = self.range(child)
        old = self.text(*whole)
        if (child.kind in kinds or assigns) and old and not NOT_DROPPED.match(old) and self.source[whole[1]:whole[1] + 1] == b";":
            self.add("dropped", whole, old, "")


def is_number(kind):
    kind = kind.get_canonical().kind
    return TypeKind.BOOL.value < kind.value <= TypeKind.LONGDOUBLE.value


def find_slips(root, path, unit, source):
    return Finder(root, path, unit, source).slips


def nothing(slip):
    """In the place of a slip that does not compile."""
    return dataclasses.replace(slip, kind="nothing", new=slip.old)


def apply_slips(source, slips):
    """The bytes of a source with numbered slips put in, which must not overlap: [(number, slip)]."""
    for number, slip in sorted(slips, key=lambda pair: -pair[1].begin):
        source = source[:slip.begin] + slip.text(number).encode() + source[slip.end:]
    return b'#include "mutants.h"  // NOLINT\n#line 1\n' + source
