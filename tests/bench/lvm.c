// SPDX-License-Identifier: LGPL-2.1-or-later
/* LVM by its commands, as drivers run them; its thin pool is on a disk of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

static char mounted[256], target[256];

#define RUN(...) spawn((const char *const[]){ __VA_ARGS__, NULL })

static const char *fleet_dir;

static const char *where(int n)
{
	static _Thread_local char path[256];

	snprintf(path, sizeof(path), "%s/lvm-fleet-%d", fleet_dir, n);
	return path;
}

static void open_pool(const char *disk, const char *dir)
{
	fleet_dir = dir;
	/* No udevd runs in the guest; without this LVM would wait for device nodes that
	 * never come. */
	setenv("DM_DISABLE_UDEV", "1", 1);
	snprintf(mounted, sizeof(mounted), "%s/lvm-origin", dir);
	snprintf(target, sizeof(target), "%s/lvm-target", dir);
	make_dir(mounted);
	make_dir(target);
	RUN("pvcreate", "-qq", "-ff", "-y", disk);
	RUN("vgcreate", "-qq", "benchvg", disk);
	RUN("lvcreate", "-qq", "-y", "--type", "thin-pool", "-n", "pool", "-l", "90%FREE",
	    "benchvg");
	RUN("lvcreate", "-qq", "-y", "-T", "-V", "10G", "-n", "origin", "benchvg/pool");
	RUN("mkfs.ext4", "-q", "-E", "nodiscard", "/dev/benchvg/origin");
	RUN("mount", "/dev/benchvg/origin", mounted);
	RUN("lvcreate", "-qq", "-y", "-T", "-V", "10G", "-n", "volume", "benchvg/pool");
	RUN("mkfs.ext4", "-q", "-E", "nodiscard", "/dev/benchvg/volume");
	RUN("lvchange", "-qq", "-an", "benchvg/volume");
}

static void publish(void)
{
	RUN("lvchange", "-qq", "-ay", "benchvg/volume");
	RUN("mount", "/dev/benchvg/volume", target);
}

static void unpublish(void)
{
	RUN("umount", target);
	RUN("lvchange", "-qq", "-an", "benchvg/volume");
}

static void create(void)
{
	RUN("lvcreate", "-qq", "-y", "-T", "-V", "1G", "-n", "raw", "benchvg/pool");
}

/* It does not encrypt, and a mkfs of 1 TiB takes it ages. */
static bool does(enum op op)
{
	return op != OP_LARGE && op != OP_UNLOCK;
}

static void before(enum op op, int i)
{
	(void)i;
	if (op == OP_UNPUBLISH) {
		publish();
	} else if (op == OP_DELETE) {
		create();
		RUN("lvchange", "-qq", "-an", "benchvg/raw");
	}
}

static void run(enum op op, int i)
{
	(void)i;
	switch (op) {
	case OP_SNAPSHOT:
		RUN("lvcreate", "-qq", "-y", "-s", "-n", "snap", "benchvg/origin");
		break;
	case OP_CREATE:
		create();
		break;
	case OP_PUBLISH:
		publish();
		break;
	case OP_UNPUBLISH:
		unpublish();
		break;
	case OP_DELETE:
		RUN("lvremove", "-qq", "-f", "benchvg/raw");
		break;
	case OP_NEW:
		RUN("lvcreate", "-qq", "-y", "-T", "-V", "10G", "-n", "new",
		    "benchvg/pool");
		RUN("mkfs.ext4", "-q", "-E", "nodiscard", "/dev/benchvg/new");
		RUN("mount", "/dev/benchvg/new", target);
		break;
	case OP_CLONE:
		RUN("lvcreate", "-qq", "-y", "-s", "-kn", "-n", "copy", "benchvg/volume");
		RUN("lvchange", "-qq", "-ay", "benchvg/copy");
		RUN("mount", "/dev/benchvg/copy", target);
		break;
	case OP_EXPAND:
		RUN("lvextend", "-qq", "-L", "+1G", "benchvg/origin");
		RUN("resize2fs", "/dev/benchvg/origin");
		break;
	case OP_LARGE:
	case OP_UNLOCK:
	case N_OPS:
		break;
	}
}

static void after(enum op op, int i)
{
	(void)i;
	if (op == OP_SNAPSHOT) {
		RUN("lvremove", "-qq", "-f", "benchvg/snap");
	} else if (op == OP_CREATE) {
		RUN("lvremove", "-qq", "-f", "benchvg/raw");
	} else if (op == OP_PUBLISH) {
		unpublish();
	} else if (op == OP_NEW) {
		RUN("umount", target);
		RUN("lvremove", "-qq", "-f", "benchvg/new");
	} else if (op == OP_CLONE) {
		RUN("umount", target);
		RUN("lvremove", "-qq", "-f", "benchvg/copy");
	}
}

static void appear(int n)
{
	char name[32], device[64];

	snprintf(name, sizeof(name), "fleet-%d", n);
	snprintf(device, sizeof(device), "/dev/benchvg/%s", name);
	RUN("lvcreate", "-qq", "-y", "-T", "-V", "10G", "-n", name, "benchvg/pool");
	RUN("mkfs.ext4", "-q", "-E", "nodiscard", device);
	make_dir(where(n));
	RUN("mount", device, where(n));
}

static void vanish(int n)
{
	char name[64];

	snprintf(name, sizeof(name), "benchvg/fleet-%d", n);
	RUN("umount", where(n));
	RUN("lvremove", "-qq", "-f", name);
}

static void close_pool(void)
{
	RUN("umount", mounted);
	RUN("vgremove", "-qq", "-f", "benchvg");
}

const struct contestant lvm = {
	.name = "lvm",
	.open = open_pool,
	.does = does,
	.before = before,
	.run = run,
	.after = after,
	.appear = appear,
	.vanish = vanish,
	.close = close_pool,
};
