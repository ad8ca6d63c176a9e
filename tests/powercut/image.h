/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef IMAGE_H
#define IMAGE_H

/* The disk as a file that can be taken back to an earlier state, and that knows which of
 * its parts are the same as before. */

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

struct saved;

struct image {
	int fd;
	uint64_t bytes;
	uint64_t *versions; /* of each MiB: equal numbers mean equal contents. NULL: not
			       known */
	uint64_t last_version;
	bool keep; /* what is overwritten is saved for image_undo */
	struct saved *saved;
};

int image_create(struct image *im, const char *path, uint64_t bytes);
void image_close(struct image *im);

/* A cut_write_fn; arg is the image. */
int image_write(void *im, uint64_t offset, const void *data, uint64_t bytes);
/* Takes back what was written since im->keep was set, and clears it. */
int image_undo(struct image *im);

/* A number for the contents of an extent; 0: not known. */
uint64_t image_version(const struct image *im, const struct kv_extent *extent);
/* Copies an extent into a new sparse file. */
int image_extract(const struct image *im, const struct kv_extent *extent,
		  const char *path);

#endif
