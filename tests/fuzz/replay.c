// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The main function of a fuzz target where there is no libFuzzer: runs the target's
 * corpus, and mutants of it, and prints TAP. So every build on every machine runs the
 * inputs that once broke something, under whatever sanitizers it has.
 *
 * Each file of the corpus gets a process of its own: one that dies is one failed test.
 * The mutant that was running is known by a counter in shared memory, and is made again
 * from the seed to be kept beside the logs.
 *
 *	fuzz_NAME		the corpus of NAME, and mutants
 *	fuzz_NAME FILE...	these inputs alone, in this process (for a debugger)
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX     (256u << 10)
#define MUTANTS_SHORT 500u /* in all, whatever the number of files is */
#define MUTANTS_LONG  400000u
#define LIMIT_SECONDS 600u /* for one file and its mutants; the machine may be busy */

static uint8_t original[INPUT_MAX], mutant[2 * INPUT_MAX];
static size_t original_n;

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static bool load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, original, sizeof(original));

	(void)close(fd);
	original_n = n < 0 ? 0 : (size_t)n;
	return n >= 0;
}

static void mutate(size_t *n, uint64_t *state)
{
	static const uint8_t edges[] = {
		0, 1, 0x7f, 0x80, 0xff, ',', '/', ' ', '"', '-'
	};
	uint64_t r = next_random(state);
	size_t at = *n ? r % *n : 0, len;

	switch (next_random(state) % 6) {
	case 0:
		if (*n)
			mutant[at] ^= (uint8_t)(1u << (r >> 32 & 7));
		break;
	case 1:
		if (*n)
			mutant[at] = edges[(r >> 32) % sizeof(edges)];
		break;
	case 2: /* a piece is repeated behind itself */
		len = *n ? 1 + (r >> 32) % (*n - at) : 0;
		if (len && *n + len <= sizeof(mutant)) {
			memmove(mutant + at + len, mutant + at, *n - at);
			*n += len;
		}
		break;
	case 3: /* a piece is lost */
		len = *n ? 1 + (r >> 32) % 8 : 0;
		if (at + len < *n) {
			memmove(mutant + at, mutant + at + len, *n - at - len);
			*n -= len;
		}
		break;
	case 4:
		if (r >> 60 == 0) /* seldom, or little is left of any */
			*n = at;
		break;
	default:
		for (size_t i = at; i < at + 8 && i < *n; i++)
			mutant[i] = (uint8_t)next_random(state);
	}
}

/* Mutant number i of the file: the same for the same seed, whatever came before. 0:
 * itself. */
static size_t make_mutant(uint64_t seed, const char *file, unsigned i)
{
	uint64_t state = seed + i;
	size_t n = original_n;

	memcpy(mutant, original, n);
	for (const char *p = file; *p; p++)
		state = state * 131 + (uint8_t)*p;
	if (i)
		for (uint64_t k = 1 + next_random(&state) % 4; k; k--)
			mutate(&n, &state);
	return n;
}

static int run_here(size_t n)
{
	/* Memory of its own: a read past the end is seen. */
	uint8_t *copy = malloc(n ? n : 1);
	int r;

	CHECK(copy);
	memcpy(copy, mutant, n);
	r = LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	return r;
}

static int run_child(uint64_t seed, const char *file, unsigned n_mutants,
		     volatile unsigned *progress)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		(void)alarm(LIMIT_SECONDS);
		for (unsigned i = 0; i <= n_mutants; i++) {
			*progress = i;
			(void)run_here(make_mutant(seed, file, i));
		}
		exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		CHECK(errno == EINTR);
	return status;
}

static void keep(const char *name, const char *file, uint64_t seed, unsigned i)
{
	const char *base = getenv("KVOL_FUZZ_ARTIFACTS");
	char path[1024];
	size_t n = make_mutant(seed, file, i);
	int fd;

	(void)snprintf(path, sizeof(path), "%s/crash-%s-%.32s-%u", base ? base : "/tmp",
		       name, file, i);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0 && write(fd, mutant, n) == (ssize_t)n)
		printf("#   the input: %s\n", path);
	printf("#   seed %llu, mutant %u\n", (unsigned long long)seed, i);
	(void)close(fd);
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int replay_corpus(const char *name)
{
	const char *given = getenv("KVOL_TEST_SEED");
	bool lengthy = getenv("KVOL_TEST_LONG") != NULL;
	uint64_t seed = given	  ? strtoull(given, NULL, 10)
			: lengthy ? (uint64_t)time(NULL)
				  : 1;
	unsigned n_mutants = lengthy ? MUTANTS_LONG : MUTANTS_SHORT;
	char path[1024];
	struct dirent **files;
	volatile unsigned *progress;
	int n, failed = 0, status;

	(void)snprintf(path, sizeof(path), FUZZ_CORPUS "/%s", name);
	n = scandir(path, &files, visible, alphasort);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n <= 0 || progress == MAP_FAILED) {
		printf("Bail out! %s: no corpus\n", path);
		return 1;
	}
	n_mutants = n_mutants / (unsigned)n + 1;
	printf("1..%d\n# seed %llu\n", n, (unsigned long long)seed);
	(void)fflush(stdout);
	for (int i = 0; i < n; i++) {
		const char *file = files[i]->d_name;

		(void)snprintf(path, sizeof(path), FUZZ_CORPUS "/%s/%s", name, file);
		status = load(path) ? run_child(seed, file, n_mutants, progress) : -1;
		printf("%s %d - %s\n", status ? "not ok" : "ok", i + 1, file);
		if (status && status != -1)
			keep(name, file, seed, *progress);
		failed += status != 0;
		(void)fflush(stdout);
		free(files[i]);
	}
	free(files);
	printf("# figure replayed inputs of %s: %d and %u mutants of each\n", name, n,
	       n_mutants);
	return failed != 0;
}

int main(int argc, char **argv)
{
	const char *name = strstr(program_invocation_short_name, "fuzz_");

	if (argc > 1) {
		for (int i = 1; i < argc; i++) {
			CHECK(load(argv[i]));
			(void)run_here(make_mutant(0, argv[i], 0));
		}
		return 0;
	}
	CHECK(name);
	return replay_corpus(name + strlen("fuzz_"));
}
