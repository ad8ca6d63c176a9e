# Power cuts: a recorded workload, cut at every flush and between flushes, replayed and judged.
