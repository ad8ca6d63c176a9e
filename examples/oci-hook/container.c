/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the runtime tells its hooks: https://github.com/opencontainers/runtime-spec, runtime.md
 * ("State") and config.md ("POSIX-platform Hooks", "Root", "Annotations").
 *
 * An annotation that is not understood stops the container: a typing error in "readonly" must not
 * publish for writing.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "container.h"

#define PREFIX "io.kvol."

int complain(const char *format, ...)
{
	va_list args;

	fputs("kvol-oci-hook: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}

/* NULL if it is not there, or no string. */
static const char *string_in(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

static struct wish *wish_of(struct container *c, const char *tag, size_t length)
{
	struct wish *w;

	for (size_t i = 0; i < c->n_wishes; i++)
		if (strlen(c->wishes[i].tag) == length && !memcmp(c->wishes[i].tag, tag, length))
			return &c->wishes[i];
	if (length == 0 || length >= sizeof(w->tag) || c->n_wishes == WISHES_MAX)
		return NULL;
	w = &c->wishes[c->n_wishes++];
	memcpy(w->tag, tag, length);
	return w;
}

static int read_bool(const char *key, const char *value, bool *ret)
{
	if (strcmp(value, "true") && strcmp(value, "false"))
		return complain("annotation %s is '%s', neither true nor false", key, value);
	*ret = !strcmp(value, "true");
	return 0;
}

/* io.kvol.TAG.FIELD */
static int read_annotation(struct container *c, const char *key, const char *value)
{
	const char *tag = key + strlen(PREFIX), *field = strchr(tag, '.');
	struct wish *w = field ? wish_of(c, tag, (size_t)(field - tag)) : NULL;

	if (!w)
		return complain("annotation %s: not " PREFIX "TAG.FIELD, or too many", key);
	field++;
	if (!strcmp(field, "volume"))
		w->volume = value;
	else if (!strcmp(field, "target"))
		w->target = value;
	else if (!strcmp(field, "options"))
		w->options = value;
	else if (!strcmp(field, "readonly"))
		return read_bool(key, value, &w->readonly);
	else if (!strcmp(field, "idmap"))
		return read_bool(key, value, &w->idmap);
	else
		return complain("annotation %s: no such field", key);
	return 0;
}

static int read_annotations(struct container *c)
{
	struct json_object *annotations;

	if (!json_object_object_get_ex(c->json, "annotations", &annotations))
		return 0;
	json_object_object_foreach(annotations, key, value) {
		if (strncmp(key, PREFIX, strlen(PREFIX)))
			continue;
		if (!json_object_is_type(value, json_type_string))
			return complain("annotation %s is no string", key);
		if (read_annotation(c, key, json_object_get_string(value)) < 0)
			return -1;
	}
	for (size_t i = 0; i < c->n_wishes; i++)
		if (!c->wishes[i].volume || !c->wishes[i].target)
			return complain("annotation " PREFIX "%s.%s is missing", c->wishes[i].tag,
					c->wishes[i].volume ? "target" : "volume");
	return 0;
}

/* root.path is absolute, or below the bundle. */
static int read_rootfs(struct container *c, const char *bundle)
{
	char path[PATH_MAX], resolved[PATH_MAX];
	struct json_object *config, *root;
	const char *name;
	int n;

	n = snprintf(path, sizeof(path), "%s/config.json", bundle);
	if (n < 0 || (size_t)n >= sizeof(path))
		return complain("%s: too long", bundle);
	config = json_object_from_file(path);
	if (!config)
		return complain("%s: %s", path, json_util_get_last_err());
	name = json_object_object_get_ex(config, "root", &root) ? string_in(root, "path") : NULL;
	n = name ? snprintf(path, sizeof(path), "%s%s%s", *name == '/' ? "" : bundle,
			    *name == '/' ? "" : "/", name)
		 : -1;
	json_object_put(config);
	if (n < 0 || (size_t)n >= sizeof(path))
		return complain("%s/config.json: no usable root.path", bundle);
	if (!realpath(path, resolved))
		return complain("%s: %s", path, strerror(errno));
	n = snprintf(c->rootfs, sizeof(c->rootfs), "%s", resolved);
	return n >= 0 && (size_t)n < sizeof(c->rootfs) ? 0 : complain("%s: too long", path);
}

static int read_state(struct container *c)
{
	struct json_object *pid;
	const char *id = string_in(c->json, "id"), *bundle = string_in(c->json, "bundle");

	if (!id || !bundle || strlen(id) >= sizeof(c->id))
		return complain("standard input has no state of a container");
	(void)snprintf(c->id, sizeof(c->id), "%s", id);
	if (json_object_object_get_ex(c->json, "pid", &pid))
		c->pid = json_object_get_int(pid);
	if (c->pid <= 0)
		return 0;
	return read_rootfs(c, bundle) < 0 ? -1 : read_annotations(c);
}

int container_read(struct container *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->json = json_object_from_fd(STDIN_FILENO);
	if (!ret->json)
		return complain("standard input: %s", json_util_get_last_err());
	if (read_state(ret) == 0)
		return 0;
	container_free(ret);
	return -1;
}

void container_free(struct container *c)
{
	json_object_put(c->json);
	c->json = NULL;
}
