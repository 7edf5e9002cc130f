/* replay.c - runs a fuzz target over files instead of searching: the corpus as a test
 * that needs no clang.
 *
 * usage: TARGET FILE-OR-DIRECTORY...
 * Prints the number of inputs.  A directory is read one level deep; none at all is an
 * error, or a mistyped path would pass as a test.  Each input is copied to memory of
 * exactly its size, so that AddressSanitizer sees a read past its end. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static void replay_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size ? size : 1);

	if (f == NULL || data == NULL || fread(data, 1, size, f) != size) {
		perror(path);
		exit(1);
	}
	fclose(f);
	/* The last line before a crash names the input. */
	if (getenv("REPLAY_VERBOSE") != NULL)
		fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	inputs++;
}

static void replay(const char *path, int depth)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		perror(path);
		exit(1);
	}
	if (S_ISREG(st.st_mode)) {
		replay_file(path, (size_t)st.st_size);
	} else if (S_ISDIR(st.st_mode) && depth == 0) {
		DIR *d = opendir(path);
		struct dirent *e;
		char name[4096];

		while (d != NULL && (e = readdir(d)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(name, sizeof name, "%s/%s", path, e->d_name);
			replay(name, depth + 1);
		}
		if (d != NULL)
			closedir(d);
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay(argv[i], 0);
	printf("%zu inputs\n", inputs);
	return inputs == 0;
}
