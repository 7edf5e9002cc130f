/* From a target to request bytes: no octet is read or written outside, and what is
 * decoded is found again from its base64. */
#include "proxy/http/ocsp_http.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define MUST(x)                                                                          \
	do {                                                                             \
		if (!(x))                                                                \
			abort();                                                         \
	} while (0)
#define TARGET_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_again(const uint8_t *der, size_t n)
{
	static unsigned char base64[TARGET_MAX + 8];
	static uint8_t again[TARGET_MAX];
	size_t base64_n = (size_t)EVP_EncodeBlock(base64, der, (int)n), again_n = n;

	MUST(ocsp_http_decode(bytes_of(base64, base64_n), again, &again_n) == ERR_OK);
	MUST(bytes_equal(bytes_of(der, n), bytes_of(again, again_n)));
}

static void check_rest(struct bytes rest)
{
	size_t n = rest.n / 4 * 3 + 3, small;
	uint8_t *out = malloc(n);
	enum err e;

	MUST(out != NULL);
	e = ocsp_http_decode(rest, out, &n);
	MUST(e == ERR_OK || e == ERR_REQ_BASE64 || e == ERR_NOT_FOUND);
	if (e == ERR_OK) {
		/* 'M' is 0x30 to 0x33 */
		MUST(n == 0 || (out[0] & 0xfc) == 0x30);
		check_again(out, n);
		if (n > 0) {
			uint8_t *less = malloc(n);

			MUST(less != NULL);
			small = n - 1;
			MUST(ocsp_http_decode(rest, less, &small) == ERR_REQ_BASE64);
			free(less);
		}
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char ca_ocsp[] = "/ca/ocsp", ocsp[] = "/ocsp", top[] = "/",
		    host[] = "ca.example";
	char *paths[] = {ca_ocsp, ocsp, top};
	struct conf_authority authority = {host, 80};
	const struct conf c = {
	    .path = paths, .path_n = 3, .authority = &authority, .authority_n = 1};
	const struct http1_limits limits = {8192, TARGET_MAX};
	struct http1_request r;
	struct bytes rest;
	char text[TARGET_MAX + 64];
	size_t text_n;

	check_rest(bytes_of(data, n < TARGET_MAX ? n : TARGET_MAX));
	if (n > TARGET_MAX)
		return 0;
	memcpy(text, "GET ", 4);
	memcpy(text + 4, data, n);
	memcpy(text + 4 + n, " HTTP/1.0\r\n\r\n", 13);
	text_n = n + 17;
	if (http1_parse(&r, text, text_n, &limits) != 0 || r.target.n != n)
		return 0;
	if (ocsp_http_route(&c, &r, &rest) == ROUTE_OCSP) {
		MUST(rest.n <= r.path.n);
		check_rest(rest);
	}
	return 0;
}
