#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nightly snapshots with retention: nightly.py POOL [KEEP]

Takes a snapshot of each volume that has the label "nightly", and keeps the KEEP (default 14) newest
that it made of each. Label what you want: kvolctl label data nightly=yes. Run it by a timer, as often
as you like: today's snapshot being there already is no error.
"""

import datetime
import sys
from collections import defaultdict

import kvol

WANTED, MADE = "nightly", "made-by-nightly"


def nightly(pool, keep):
    """One night. Returns what failed: one volume's trouble does not stop the others."""
    today, failed, taken = datetime.date.today().isoformat(), [], defaultdict(list)
    for volume in pool.list(kind=kvol.Kind.VOLUME, label=WANTED):
        try:
            pool.snapshot(volume.name, "%s@%s" % (volume.name, today), labels={MADE: today})
        except kvol.Error as e:
            failed.append(e)
    for snapshot in pool.list(kind=kvol.Kind.SNAPSHOT, label=MADE):
        taken[snapshot.source].append(snapshot)
    for snapshots in taken.values():
        snapshots.sort(key=lambda s: (s.created, s.name))
        for old in snapshots[:-keep]:
            try:
                pool.delete(old.name)
            except kvol.Error as e:  # kvol.Busy: somebody restores from it; another night then
                failed.append(e)
    return failed


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3 or not (sys.argv + ["14"])[2].isdigit():
        sys.exit("Usage: nightly.py POOL [KEEP]")
    with kvol.Pool.open(sys.argv[1]) as the_pool:
        errors = nightly(the_pool, max(1, int((sys.argv + ["14"])[2])))
    for error in errors:
        print("nightly.py: %s" % error.strerror, file=sys.stderr)
    sys.exit(bool(errors))
