/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MEASURE_H
#define MEASURE_H

long resident_kib(void); /* of this process */
double median(double *values, int n); /* sorts them */

#endif
