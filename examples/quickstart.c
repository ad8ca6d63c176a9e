/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A volume's life, through the API. As root, on a kernel with device-mapper:
 *
 *	quickstart POOLFILE DIRECTORY		(a path with a '/'; an absolute one)
 *
 * makes a pool of 2 GiB in the file POOLFILE and publishes a volume and its clone at
 * DIRECTORY/volume and DIRECTORY/clone. In the end nothing is left but the file.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <kvol/kvol.h>

#define GIB (UINT64_C(1) << 30)

static char volume[4096], clone[4096];	/* the targets */
static struct kvol_error error;		/* filled by the call that fails */

static int step(const char *what, int result)
{
	if (result < 0)
		fprintf(stderr, "%s: %s (%s)\n", what, error.msg, kvol_reason_str(error.reason));
	else
		printf("%s\n", what);
	return result;
}

static int write_greeting(void)
{
	char path[4200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/greeting", volume);
	file = fopen(path, "w");
	if (file && fputs("hello\n", file) >= 0 && fclose(file) == 0)
		return 0;
	perror(path);
	return -1;
}

/* Each call is durable when it returns, and harmless to repeat. */
static int use_volumes(struct kvol_pool *pool)
{
	const struct kvol_create_opts ext4 = { .size = sizeof(ext4), .fs_type = "ext4" };
	struct kvol_info info = { .size = sizeof(info) };

	if (step("create", kvol_create(pool, "data", 1 * GIB, &ext4, &error)) < 0 ||
	    step("publish", kvol_publish(pool, "data", volume, NULL, &error)) < 0 ||
	    write_greeting() < 0 ||
	    step("snapshot", kvol_snapshot(pool, "data", "data@1", NULL, &error)) < 0 ||
	    step("clone", kvol_clone(pool, "data@1", "copy", NULL, &error)) < 0 ||
	    step("publish the clone", kvol_publish(pool, "copy", clone, NULL, &error)) < 0 ||
	    step("expand", kvol_expand(pool, "data", 2 * GIB, 0, &error)) < 0 ||
	    step("stat", kvol_stat(pool, "data", &info, &error)) < 0)
		return -1;
	printf("  %s: %llu bytes, %u target, %s\n", info.name, (unsigned long long)info.bytes,
	       info.n_targets, info.device);
	return 0;
}

/* However far it came: unpublishing or deleting what is not there is success. */
static int clean_up(struct kvol_pool *pool)
{
	if (step("unpublish", kvol_unpublish(pool, "data", volume, NULL, &error)) < 0 ||
	    step("unpublish the clone", kvol_unpublish(pool, "copy", clone, NULL, &error)) < 0 ||
	    step("delete", kvol_delete(pool, "data", 0, &error)) < 0 ||
	    step("delete the snapshot", kvol_delete(pool, "data@1", 0, &error)) < 0 ||
	    step("delete the clone", kvol_delete(pool, "copy", 0, &error)) < 0)
		return -1;
	return step("deactivate", kvol_pool_deactivate(pool, &error));
}

int main(int argc, char **argv)
{
	const struct kvol_format_opts sparse = { .size = sizeof(sparse), .file_bytes = 2 * GIB };
	struct kvol_ctx *ctx = NULL;
	struct kvol_pool *pool = NULL;
	int code = 1;

	if (argc != 3)
		return fprintf(stderr, "Usage: quickstart POOLFILE DIRECTORY\n"), 2;
	snprintf(volume, sizeof(volume), "%s/volume", argv[2]);
	snprintf(clone, sizeof(clone), "%s/clone", argv[2]);
	mkdir(volume, 0755);	/* a target must be there: publishing makes no directories */
	mkdir(clone, 0755);

	if (step("context", kvol_new(NULL, &ctx, &error)) == 0 &&
	    step("format", kvol_pool_format(ctx, "quick", argv[1], &sparse, &error)) == 0 &&
	    step("open", kvol_pool_open(ctx, argv[1], NULL, &pool, &error)) == 0) {
		code = use_volumes(pool) < 0;
		code |= clean_up(pool) < 0;
	}
	kvol_pool_close(pool);	/* NULL is fine */
	kvol_free(ctx);
	rmdir(volume);
	rmdir(clone);
	return code;
}
