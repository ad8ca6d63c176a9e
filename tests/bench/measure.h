/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MEASURE_H
#define MEASURE_H

long resident_kib(void); /* of this process */
double now_ms(void);
/* Both sort the values. A percentile is the smallest that so many percent are not above. */
double median(double *values, int n);
double percentile(double *values, int n, int percent);

#endif
