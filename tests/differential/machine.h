/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MACHINE_H
#define MACHINE_H

/*
 * What a script needs beside the interface that it tries: a directory with targets in it,
 * on this kernel (machine_kernel.c) or on the model (machine_model.c). Each script is
 * linked once with either; what the two programs print must be the same.
 */

#include <stdint.h>
#include <stdio.h>

/* DIR is made, and must not be there. */
void machine_start(const char *dir);
void machine_end(void);

/* "DIR/name", in a buffer that the next but three calls overwrite. */
const char *machine_path(const char *name);
void machine_make_directory(const char *name);
void machine_make_file(const char *name);
void machine_make_link(const char *name); /* to nowhere */

/* The script's dice: the same seed, the same throws on both. */
void dice_seed(uint64_t seed);
unsigned dice(unsigned sides); /* 0 to sides - 1 */

/* "ok", or the errno's name and nothing else: what is compared. */
const char *result(int r);

/* Ends the program: the script itself cannot go on. */
void need(int ok, const char *what);

#endif
