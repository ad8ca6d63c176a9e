/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host claim: eight lines of text in one sector, with a checksum over them.
 *
 * Parsing reads the fields and then formats them again: only what is the same to the
 * byte is a claim. So there is one spelling for each, and whatever the checksum vouches
 * for is what was understood.
 *
 * Who is the same host is decided here, too. A reboot must not lock a host out of its own
 * pool, and two containers on one machine are one host: so the machine's own id is in
 * every record beside the one that was given, and the boot id joins what nothing else
 * does. Only two ids that were both given, and differ, are two hosts whatever else they
 * share.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "claim.h"

#define MAGIC	"kvol host claim "
#define FIRST	MAGIC "1\n"
#define NOTHING "-"

bool kv_host_id_valid(const char *id)
{
	size_t n;

	if (kv_str_empty(id) || !strcmp(id, NOTHING))
		return false;
	for (n = 0; id[n]; n++)
		if (n == KV_HOST_ID_MAX || id[n] <= ' ' || id[n] > '~')
			return false;
	return true;
}

const char *kv_host_name(const struct kv_host *host)
{
	if (host->given[0])
		return host->given;
	return host->machine[0] ? host->machine : "unknown";
}

static bool equal(const char *a, const char *b)
{
	return a[0] && !strcmp(a, b);
}

bool kv_host_same(const struct kv_host *a, const struct kv_host *b)
{
	if (a->given[0] && b->given[0])
		return equal(a->given, b->given);
	return equal(a->machine, b->machine) || equal(a->boot, b->boot);
}

bool kv_host_anonymous(const struct kv_host *host)
{
	return !host->given[0] && !host->machine[0];
}

static const char *or_nothing(const char *s)
{
	return s[0] ? s : NOTHING;
}

void kv_claim_format(char buf[KV_CLAIM_BYTES], const struct kv_claim *claim)
{
	int n;

	memset(buf, 0, KV_CLAIM_BYTES);
	n = snprintf(buf, KV_CLAIM_BYTES,
		     FIRST "pool %s\nstate %s\nsince %" PRIu64
			   "\ngiven %s\nmachine %s\nboot %s\n",
		     claim->pool, claim->held ? "held" : "free", claim->since,
		     or_nothing(claim->host.given), or_nothing(claim->host.machine),
		     or_nothing(claim->host.boot));
	(void)snprintf(buf + n, KV_CLAIM_BYTES - (size_t)n, "sum %016" PRIx64 "\n",
		       kv_hash64(buf, (size_t)n, 0));
}

/* The value of the next line, which must have this key; *at moves behind it. */
static bool take(const char **at, const char *key, char *ret, size_t size)
{
	size_t n = strlen(key);
	const char *end;

	if (strncmp(*at, key, n) != 0 || (*at)[n] != ' ')
		return false;
	*at += n + 1;
	end = strchr(*at, '\n');
	if (!end || (size_t)(end - *at) >= size)
		return false;
	n = (size_t)(end - *at);
	memcpy(ret, *at, n);
	ret[n] = '\0';
	if (!strcmp(ret, NOTHING))
		ret[0] = '\0';
	*at = end + 1;
	return true;
}

int kv_claim_parse(const char buf[KV_CLAIM_BYTES], struct kv_claim *ret)
{
	char text[KV_CLAIM_BYTES + 1], again[KV_CLAIM_BYTES], state[8], since[24];
	const char *at = text + strlen(FIRST);
	struct kv_claim claim = { .held = false };

	if (memcmp(buf, MAGIC, strlen(MAGIC)) != 0)
		return -ENODATA;
	memcpy(text, buf, KV_CLAIM_BYTES);
	text[KV_CLAIM_BYTES] = '\0';
	if (strncmp(text, FIRST, strlen(FIRST)) != 0 ||
	    !take(&at, "pool", claim.pool, sizeof(claim.pool)) ||
	    !take(&at, "state", state, sizeof(state)) ||
	    !take(&at, "since", since, sizeof(since)) ||
	    !take(&at, "given", claim.host.given, sizeof(claim.host.given)) ||
	    !take(&at, "machine", claim.host.machine, sizeof(claim.host.machine)) ||
	    !take(&at, "boot", claim.host.boot, sizeof(claim.host.boot)))
		return -EBADMSG;
	if (sscanf(since, "%" SCNu64, &claim.since) != 1)
		return -EBADMSG;
	claim.held = !strcmp(state, "held");
	kv_claim_format(again, &claim);
	if (memcmp(again, buf, KV_CLAIM_BYTES) != 0)
		return -EBADMSG;
	*ret = claim;
	return 0;
}
