/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MEASURE_H
#define MEASURE_H

#include <kvol/kvol.h>

/* Ends the run: figures of something that failed say nothing. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void ok(int r, const struct kvol_error *e); /* dies if r is negative */
void make_dir(const char *path);
void make_file(const char *path);

long resident_kib(void); /* of this process */
double now_ms(void);
/* Both sort the values. A percentile is the smallest that so many percent are not above. */
double median(double *values, int n);
double percentile(double *values, int n, int percent);

#endif
