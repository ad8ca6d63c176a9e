// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lines of mountinfo: whoever mounts something names what stands in them. A line that is
 * taken has its fields where a second way of splitting finds them; a mount is known by
 * all of what was recorded of it or not at all.
 *
 * Input: the line.
 */
#include <sys/sysmacros.h>

#include "fuzz.h"
#include "mountinfo.h"

#define WORDS_MAX 1024

static size_t split(char *line, char *words[WORDS_MAX])
{
	size_t n = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *p = line; p && n < WORDS_MAX; n++) {
		words[n] = p;
		p = strchr(p, ' ');
		if (p)
			*p++ = '\0';
	}
	return n;
}

static bool is_span(const char *span, size_t n, const char *word)
{
	return n == strlen(word) && !memcmp(span, word, n);
}

static void check_fields(const struct kv_mountinfo *m, const char *line)
{
	static char *words[WORDS_MAX];
	char *copy = strdup(line);
	size_t n, dash = 6;

	CHECK(copy);
	n = split(copy, words);
	if (n < WORDS_MAX) {
		while (dash < n && strcmp(words[dash], "-") != 0)
			dash++;
		CHECK(dash + 1 < n);
		CHECK(strtoull(words[0], NULL, 10) == m->id);
		CHECK(strtoull(words[2], NULL, 10) == major(m->dev));
		CHECK(strtoull(strchr(words[2], ':') + 1, NULL, 10) == minor(m->dev));
		CHECK(is_span(m->root, m->root_len, words[3]));
		CHECK(is_span(m->point, m->point_len, words[4]));
		CHECK(is_span(m->fs_type, m->fs_type_len, words[dash + 1]));
		CHECK(is_span(m->source, m->source_len,
			      dash + 2 < n ? words[dash + 2] : ""));
	}
	free(copy);
}

/* Escaped again as the kernel does it, it must be what stood there, if that was the
 * kernel's. */
static void check_point(const struct kv_mountinfo *m)
{
	size_t size = m->point_len + 1, used = 0;
	char *point = malloc(size), *again = malloc(4 * size);

	CHECK(point && again);
	CHECK(kv_mountinfo_point(m, point, size) && strlen(point) <= m->point_len);
	for (const char *p = point; *p; p++)
		used += (size_t)snprintf(again + used, 5,
					 strchr(" \t\n\\", *p) ? "\\%03o" : "%c",
					 (unsigned char)*p);
	if (!memchr(m->point, '\\', m->point_len) && !strpbrk(point, "\t"))
		CHECK(used == m->point_len && !memcmp(again, m->point, used));
	CHECK(!kv_mountinfo_point(m, point, 0));
	if (point[0])
		CHECK(!kv_mountinfo_point(m, again, strlen(point)));
	free(point);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct kv_mountinfo m, untouched;
	struct input in = { data, n };
	char *line = take_string(&in);
	char node[32];

	memset(&untouched, 0xa5, sizeof(untouched));
	m = untouched;
	if (kv_mountinfo_parse(line, &m) < 0) {
		CHECK(kv_mountinfo_parse(line, &m) == -EBADMSG);
		CHECK(!memcmp(&m, &untouched, sizeof(m)));
		free(line);
		return 0;
	}
	check_fields(&m, line);
	check_point(&m);
	CHECK(kv_mountinfo_is(&m, m.id, m.dev, false));
	CHECK(!kv_mountinfo_is(&m, m.id + 1, m.dev, false));
	CHECK(!kv_mountinfo_is(&m, m.id + 1, m.dev, true));
	CHECK(kv_mountinfo_is(&m, m.id, m.dev + 1, false) ==
	      is_span(m.fs_type, m.fs_type_len, "btrfs"));
	(void)snprintf(node, sizeof(node), "/dm-%u", 7u);
	CHECK(kv_mountinfo_is(&m, m.id, makedev(253, 7), true) ==
	      is_span(m.root, m.root_len, node));
	free(line);
	return 0;
}
