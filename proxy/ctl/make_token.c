/* make_token.c - random, base64url, SHA-256. */
#include "proxy/ctl/make_token.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cache/base/name.h"

#define BYTES      32
#define PREFIX     "ocsp_" /* so that who finds one somewhere knows what it is for */
#define TEXT_MAX   (sizeof PREFIX + (BYTES * 4 + 2) / 3)
#define TOKEN_MODE 0600

static bool draw(char text[TEXT_MAX])
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t random[BYTES];
	size_t n = sizeof PREFIX - 1;
	uint32_t bits = 0;
	int have = 0;

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return false;
	memcpy(text, PREFIX, n);
	for (size_t i = 0; i < sizeof random; i++) {
		bits = bits << 8 | random[i];
		for (have += 8; have >= 6; have -= 6)
			text[n++] = digits[bits >> (have - 6) & 63];
	}
	if (have > 0)
		text[n++] = digits[bits << (6 - have) & 63];
	text[n] = '\0';
	OPENSSL_cleanse(random, sizeof random);
	return true;
}

static bool keep(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, TOKEN_MODE);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	bool ok;

	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	ok = fprintf(f, "%s\n", text) > 0;
	return (fclose(f) == 0) && ok;
}

static void print(const struct args *a, FILE *out, const char *name, const char *text)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char hex[2 * sizeof hash + 1];

	SHA256((const unsigned char *)text, strlen(text), hash);
	hex_encode(hash, sizeof hash, hex);
	if (a->json && a->token_file == NULL)
		fprintf(out, "{\"name\":\"%s\",\"token\":\"%s\",\"sha256\":\"%s\"}\n",
		    name, text, hex);
	else if (a->json)
		fprintf(out, "{\"name\":\"%s\",\"sha256\":\"%s\"}\n", name, hex);
	else
		fprintf(out,
		    "%s%stoken \"%s\" {\n    sha256 = \"%s\"\n"
		    "    rights = { \"read\" }   # and subscribe, manage, operate\n}\n",
		    a->token_file == NULL ? text : "",
		    a->token_file == NULL ? "\n\n" : "", name, hex);
}

int make_token(const struct args *a, FILE *out, FILE *err)
{
	const char *name = a->issuer != NULL ? a->issuer : "NAME";
	char text[TEXT_MAX];

	if (a->issuer != NULL && !name_is_plain(bytes_of(name, strlen(name)))) {
		fprintf(err,
		    "ocspctl: %s: is no name; write 1 to 63 of a-z, 0-9, '.', '_' and "
		    "'-'\n",
		    name);
		return EXIT_USAGE;
	}
	if (!draw(text)) {
		fprintf(err, "ocspctl: no random numbers: %s\n", strerror(errno));
		return EXIT_UNDETERMINED;
	}
	if (a->token_file != NULL && !keep(a->token_file, text)) {
		fprintf(err, "ocspctl: %s: %s\n", a->token_file, strerror(errno));
		return EXIT_USAGE;
	}
	print(a, out, name, text);
	OPENSSL_cleanse(text, sizeof text);
	return EXIT_WELL;
}
