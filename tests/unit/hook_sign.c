/* T21: signatures as Standard Webhooks 1.0 has them. */
#include "proxy/push/hook_sign.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The example that the libraries of Standard Webhooks test themselves by. */
#define ID   "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define AT   1614265330
#define BODY "{\"test\": 2432232314}"
#define SECRET                                                                                       \
	"31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0" /* whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw \
							    */
#define SIGNED "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

/* The key of RFC 8032 section 7.1, test 1; python3's cryptography signs so. */
#define SEED "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define SIGNED_BY_SEED                                                                   \
	"v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9j" \
	"SeGlHFG2NVAw=="

static struct webhook_secret secret_of(const char *hex, bool ed25519)
{
	struct webhook_secret s = {.ed25519 = ed25519, .n = (uint8_t)(strlen(hex) / 2)};

	assert_true(hex_decode(hex, s.n, s.octets));
	return s;
}

static void assert_signed(
    const struct webhook_secret *secrets, size_t n, const char *expected)
{
	const struct hook_signed what = {ID, AT, bytes_of(BODY, strlen(BODY))};
	char out[HOOK_SIGNATURES_MAX];

	assert_true(hook_sign(secrets, n, &what, out));
	assert_string_equal(out, expected);
}

/* T21 */
static void a_signature_is_what_others_compute(void **state)
{
	const struct webhook_secret hmac = secret_of(SECRET, false),
				    seed = secret_of(SEED, true);

	(void)state;
	assert_signed(&hmac, 1, SIGNED);
	assert_signed(&seed, 1, SIGNED_BY_SEED);
}

/* T21 */
static void each_secret_signs(void **state)
{
	const struct webhook_secret both[] = {
	    secret_of(SECRET, false), secret_of(SEED, true), secret_of(SEED, true)};

	(void)state;
	assert_signed(both, 2, SIGNED " " SIGNED_BY_SEED);
	assert_signed(both + 1, 2, SIGNED_BY_SEED " " SIGNED_BY_SEED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_signature_is_what_others_compute),
	    cmocka_unit_test(each_secret_signs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
