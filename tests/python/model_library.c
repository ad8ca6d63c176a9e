/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The library on the model, as one shared object that Python can load: what the tests of
 * the binding need of the model besides.
 */

#include <sys/stat.h>

#include "model.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT void test_model_start(void);
EXPORT void test_model_end(void);
EXPORT void test_model_file(const char *path, bool directory);
EXPORT const char *test_model_dir(void);
EXPORT unsigned test_model_n_mounts(void);
EXPORT const char *test_model_disaster(void);

/* A machine with blank disks, and a kernel without devices. */
void test_model_start(void)
{
	model_start();
	model->mkfs_bytes = 4096; /* templates are made */
}

void test_model_end(void)
{
	model_end();
}

void test_model_file(const char *path, bool directory)
{
	model_file(path, directory ? S_IFDIR : S_IFREG);
}

/* Where files are that can be pools. */
const char *test_model_dir(void)
{
	return model->dir;
}

unsigned test_model_n_mounts(void)
{
	return model_n_mounts();
}

/* What must never happen, and did; "". */
const char *test_model_disaster(void)
{
	return model->disaster;
}
