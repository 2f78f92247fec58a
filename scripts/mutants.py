#!/usr/bin/env python3
"""Puts small slips into the sources, one at a time, and reports which of them no test notices.

Usage: scripts/mutants.py [--count 100] [--seed 1] [--jobs 1] [--list] [--only 3,17] [--from FILE] [--folder FOLDER] [--tests FILTER]

All slips (mutants) are in one build, in build/mutants: the environment variable LAZULI_MUTANT picks the one that is on. The suite runs once
to see which tests reach which mutant; then each mutant meets the tests that reach it, those of its own folder first, until one fails. A test
that takes ten times as long as it should has failed too, and so has one in which UndefinedBehaviorSanitizer or the standard library's
assertions end the program. Kernels written for vector units, and what needs a CUDA card, are left alone.

--from reads slips from a file instead of drawing them: a line `src/a.cc:12: old text => new text` each, an empty new text leaving the
statement out. Needs clang-14, and the package libclang 14 from PyPI; --venv names a virtual environment for it, which is made if missing.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build/mutants"
TREE = WORK / "tree"
BUILD = TREE / "build/release"
TESTS = BUILD / "bin/lazuli_tests"

SUPPORT = """// Defines is_on, which picks the slip that is on, and what tells which test reaches which slip.
#include "mutants.h"
#include <fcntl.h>
#include <unistd.h>
#include <atomic>
#include <cstdlib>
#include <string>
namespace lazuli_mutants {
namespace {
constexpr int kMost = 1 << 14;
struct State {
  int on = -1;
  const char* trace = std::getenv("LAZULI_MUTANT_TRACE");
  std::atomic<bool> reached[kMost] = {};
  State() { if (const char* number = std::getenv("LAZULI_MUTANT")) on = std::atoi(number); }
};
State& state() { static State* s = new State; return *s; }
}  // namespace
void note(const char* text) {
  if (state().trace == nullptr) return;
  const std::string line = std::string(text) + "\\n";
  const int file = open(state().trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  if (write(file, line.data(), line.size()) < 0) std::abort();
  close(file);
}
void begin_test() { for (auto& r : state().reached) r.store(false, std::memory_order_relaxed); }
bool is_on(int number) {
  State& s = state();
  if (s.trace != nullptr && !s.reached[number].exchange(true, std::memory_order_relaxed)) note(std::to_string(number).c_str());
  return s.on == number;
}
}  // namespace lazuli_mutants
"""
HEADER = """// Declares what the slips of scripts/mutants.py call.
#pragma once
namespace lazuli_mutants {
bool is_on(int number);
void note(const char* text);
void begin_test();
}  // namespace lazuli_mutants
"""
LISTENER = """// Tells the slips which test runs.
#include <gtest/gtest.h>
#include <string>
#include "mutants.h"
namespace {
class Listener : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& test) override {
    lazuli_mutants::begin_test();
    lazuli_mutants::note((std::string("=") + test.test_suite_name() + "." + test.name()).c_str());
  }
  void OnTestEnd(const testing::TestInfo& test) override {
    const bool passed = test.result()->Passed() && !test.result()->Skipped();
    lazuli_mutants::note(((passed ? "+" : "-") + std::to_string(test.result()->elapsed_time())).c_str());
  }
};
const bool added = [] { testing::UnitTest::GetInstance()->listeners().Append(new Listener); return true; }();
}  // namespace
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="compilers, and mutants, at the same time")
    parser.add_argument("--list", action="store_true", help="only print the mutants")
    parser.add_argument("--only", help="numbers of the mutants to try, with commas between")
    parser.add_argument("--from", dest="file", help="file of slips to try instead of random ones")
    parser.add_argument("--folder", default="", help="only draw mutants from below this folder, for example src/passes")
    parser.add_argument("--tests", default="*", help="filter of the tests that mutants meet, as googletest has it")
    parser.add_argument("--whole", action="store_true", help="let survivors meet the whole suite, also tests that did not reach them")
    parser.add_argument("--venv", default=str(WORK / "venv"), help="virtual environment with libclang")
    return parser.parse_args()


def enter_venv(folder):
    python = pathlib.Path(folder) / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "libclang==14.0.6"], check=True)
    if pathlib.Path(sys.prefix).resolve() != pathlib.Path(folder).resolve():
        os.execv(str(python), [str(python), *sys.argv])


def copy_tree():
    """The checkout's files, as they are now, in the folder that is built."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    TREE.mkdir(parents=True, exist_ok=True)
    wanted = set()
    for name in names.stdout.splitlines():
        if re.match(r"(src|include|tests|cmake|examples|CMake)", name) and (ROOT / name).is_file():
            wanted.add(name)
            put(TREE / name, (ROOT / name).read_bytes())
    put(TREE / "src/mutants.h", HEADER.encode())
    put(TREE / "src/base/mutants.cc", SUPPORT.encode())
    put(TREE / "tests/mutants_test.cc", LISTENER.encode())
    wanted |= {"src/mutants.h", "src/base/mutants.cc", "tests/mutants_test.cc"}
    for folder in ("src", "include", "tests"):
        for file in (TREE / folder).rglob("*"):
            if file.is_file() and str(file.relative_to(TREE)) not in wanted:
                file.unlink()


def put(path, content):
    """Writes a file unless it has this content, so that only what changed is built."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def environment(**more):
    # Objects of an earlier run are valid, wherever its checkout lay.
    return {**os.environ, "CCACHE_BASEDIR": str(TREE), "CCACHE_NOHASHDIR": "1", **more}


def configure():
    # What a sanitizer sees counts as noticed, as it does in CI; the tests read models and documents of the checkout.
    command = ["cmake", "--preset", "release", "-DLAZULI_SHARED=OFF", "-DLAZULI_UNITY=OFF", "-DLAZULI_SANITIZE=undefined",
               f"-DLAZULI_TEST_SOURCE_DIR={ROOT}"]
    subprocess.run(command, cwd=TREE, check=True, stdout=subprocess.DEVNULL, env=environment())
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    return {e["file"]: shlex.split(e["command"]) for e in entries}


def commands_of_tree():
    return [str(path.relative_to(TREE)) for path in (TREE / "src").rglob("*.cc")]


def sources(folder):
    """The sources that mutants are drawn from, with their numbers of lines."""
    found = []
    for path in sorted((TREE / "src").rglob("*.cc")):
        name, text = str(path.relative_to(TREE)), (ROOT / path.relative_to(TREE)).read_text() if path.name != "mutants.cc" else ""
        if text and name.startswith(folder) and not re.search(r"HWY_|immintrin", text) and not name.startswith("src/backend/cuda/"):
            found.append((path, text.count("\n")))
    return found


def draw(arguments, parser, sites):
    """Random slips that do not overlap, some more than asked for, since not all compile."""
    chance = random.Random(arguments.seed)
    files = sources(arguments.folder)
    chosen, known = [], {}
    while len(chosen) < arguments.count + (arguments.count + 9) // 10:
        path = chance.choices([f for f, _ in files], [lines for _, lines in files])[0]
        original = (ROOT / path.relative_to(TREE)).read_bytes()
        if path not in known:
            known[path] = sites.find_slips(TREE, path, parser.parse(path, original.decode()), original)
        kinds = sorted({s.kind for s in known[path]})
        if not kinds:
            continue
        kind = chance.choices(kinds, [sites.WEIGHTS[k] for k in kinds])[0]
        slip = chance.choice([s for s in known[path] if s.kind == kind])
        if not any(s.file == slip.file and s.begin < slip.end and slip.begin < s.end for s in chosen):
            chosen.append(slip)
    return chosen


def read_slips(file, sites):
    slips = []
    for text in pathlib.Path(file).read_text().splitlines():
        if not text.strip() or text.startswith("#"):
            continue
        name, line, change = text.split(":", 2)
        old, new = (part.strip() for part in change.split("=>", 1))
        source = (ROOT / name).read_bytes()
        start = sum(len(x) + 1 for x in source.split(b"\n")[:int(line) - 1])
        begin = source.find(old.encode(), start)
        if begin < 0 or source.count(b"\n", start, begin) > 0:
            sys.exit(f"{text}: the old text does not stand there")
        slips.append(sites.Slip(name, int(line), begin, begin + len(old.encode()), "given", old, new))
    return slips


def write_slips(slips, sites):
    for name in {s.file for s in slips}:
        numbered = [(k, s) for k, s in enumerate(slips) if s.file == name]
        put(TREE / name, sites.apply_slips((ROOT / name).read_bytes(), numbered))


def build(slips, jobs, sites):
    """Builds the tests with all slips in; those that do not compile are taken out again."""
    files = " ".join(sorted({s.file for s in slips} & set(commands_of_tree())))
    text = (ROOT / "CMakeLists.txt").read_text()
    put(TREE / "CMakeLists.txt", f"{text}\n# Slips draw warnings.\nset_property(SOURCE {files} APPEND PROPERTY COMPILE_OPTIONS -w)\n".encode())
    while True:
        write_slips(slips, sites)
        command = ["ninja", "-C", str(BUILD), "-k", "0", f"-j{jobs}", "lazuli_tests", "lazuli_cli"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
        if done.returncode == 0:
            return
        bad = set()
        for name, line in re.findall(r"(src/[\w/]+\.cc):(\d+):\d+: error", done.stdout):
            here = [k for k, s in enumerate(slips) if s.file == name]
            near = [k for k in here if slips[k].line <= int(line) <= slips[k].line + slips[k].old.count("\n")]
            bad.update(near or here)
        if not bad:
            sys.exit(done.stdout[-4000:])
        for k in bad:
            print(f"  does not compile, left out: {slips[k]}")
            slips[k] = sites.nothing(slips[k])


def list_tests(wanted):
    """Names of the tests, and the folder of tests/ that each stands in."""
    out = WORK / "tests.json"
    command = [TESTS, "--gtest_list_tests", f"--gtest_filter={wanted}", f"--gtest_output=json:{out}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=WORK)
    folders = {}
    for suite in json.loads(out.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            folders[f"{suite['name']}.{test['name']}"] = pathlib.Path(test["file"]).parent.name
    return folders


def trace(folders):
    """Runs the suite with nothing on: which mutants each test reaches, its seconds, and whether it passed."""
    reached, seconds, passed = {}, {}, set()
    for suite in sorted({name.split(".")[0] for name in folders}):
        file, flags = WORK / "trace", WORK / "flags"
        file.unlink(missing_ok=True)
        flags.write_text("--gtest_filter=" + ":".join(n for n in folders if n.split(".")[0] == suite) + "\n")
        subprocess.run([TESTS, f"--gtest_flagfile={flags}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=WORK,
                       env=environment(LAZULI_MUTANT_TRACE=str(file)))
        test, before = None, set()
        for line in file.read_text().splitlines() if file.exists() else []:
            if line[0] == "=":
                test = line[1:]
                reached[test] = set(before)
            elif line[0] in "+-":
                seconds[test] = int(line[1:]) / 1000
                passed |= {test} if line[0] == "+" else set()
            elif test is None:
                before.add(int(line))
            else:
                reached[test].add(int(line))
    return reached, seconds, passed


def run_alone(number, flags, limit):
    """Runs the tests with a mutant on. Their exit code, None beyond `limit` seconds, and what they printed."""
    with open(WORK / f"output-{number}", "w+b") as output:
        child = subprocess.Popen([TESTS, f"--gtest_flagfile={flags}"], stdout=output, stderr=subprocess.STDOUT, cwd=WORK,
                                 env=environment(LAZULI_MUTANT=str(number)), start_new_session=True)
        try:
            code = child.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        # Programs that a test began and could not end would run for ever.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        output.seek(0)
        return code, output.read()


def run_tests(number, tests, seconds):
    """The first of the tests that fails with a mutant on, or None."""
    flags = WORK / f"flags-{number}"
    flags.write_text("--gtest_fail_fast\n--gtest_brief=1\n--gtest_filter=" + ":".join(tests) + "\n")
    limit = 20 + 10 * sum(seconds.get(t, 1) for t in tests)
    code, output = run_alone(number, flags, limit)
    if code is None:
        return "a test that does not end"
    if code == 0:
        return None
    failed = re.search(rb"FAILED  \] ([\w./]+)", output)
    return failed.group(1).decode() if failed else f"the tests ended with {code}"


def meet(number, slip, facts, whole):
    """What becomes of a mutant: who notices it, or why nobody does."""
    folders, reached, seconds, passed = facts
    tests = [t for t in reached if number in reached[t] and t in passed]
    folder = pathlib.Path(slip.file).parts[1]
    own = sorted((t for t in tests if folders[t] == folder), key=lambda t: seconds.get(t, 0))
    others = sorted((t for t in tests if folders[t] != folder), key=lambda t: seconds.get(t, 0))
    for batch in (own, others):
        if batch and (by := run_tests(number, batch, seconds)):
            return "noticed", by
    rest = [t for t in passed if t not in set(tests)]
    if whole and rest and (by := run_tests(number, rest, seconds)):
        return "noticed", by
    return ("survived", f"{len(tests)} tests reach it") if tests else ("not reached", "no test reaches it")


def report(slips, results):
    noticed = [k for k, (what, _) in results.items() if what == "noticed"]
    print(f"\n{len(noticed)} of {len(results)} mutants were noticed; the others:")
    for k, (what, why) in sorted(results.items()):
        if what != "noticed":
            print(f"  {k}: {slips[k]}\n      {what}: {why}")


def main():
    arguments = parse_arguments()
    enter_venv(arguments.venv)
    import mutant_sites as sites
    copy_tree()
    commands = configure()
    parser = sites.Parser(commands)
    slips = read_slips(arguments.file, sites) if arguments.file else draw(arguments, parser, sites)
    if arguments.list:
        for number, slip in enumerate(slips):
            print(f"{number}: {slip}")
        return
    print(f"building {len(slips)} mutants", flush=True)
    build(slips, arguments.jobs, sites)
    start = time.time()
    folders = list_tests(arguments.tests)
    facts = (folders, *trace(folders))
    failing = sorted(set(facts[1]) - facts[3])
    print(f"{len(folders)} tests traced in {time.time() - start:.0f} s; {len(failing)} do not pass here and are left out", flush=True)
    compiled = [k for k in range(len(slips)) if slips[k].kind != "nothing"]
    wanted = [int(k) for k in arguments.only.split(",")] if arguments.only else compiled[:None if arguments.file else arguments.count]
    results = {}

    def one(number):
        results[number] = meet(number, slips[number], facts, arguments.whole)
        print(f"{number}: {slips[number]}: {results[number][0]} ({results[number][1]})", flush=True)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(one, wanted))
    report(slips, results)


if __name__ == "__main__":
    main()
