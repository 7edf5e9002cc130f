/* T21: signatures as Standard Webhooks 1.0 has them. */
#include "proxy/push/hook_sign.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The example that the libraries of Standard Webhooks test themselves by. */
#define ID     "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define AT     1614265330
#define BODY   "{\"test\": 2432232314}"
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SIGNED "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

/* The seed of RFC 8032 section 7.1, test 1, alone and with its public key; python3's
 * cryptography signs so. */
#define SEED "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
#define PAIR                                                                             \
	"whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/"                 \
	"tPJZAc6DuFy89qmIyWvAhpo9wdRGg=="
#define SIGNED_BY_SEED                                                                   \
	"v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9j" \
	"SeGlHFG2NVAw=="

static bool sign(const char *one, const char *two, char *out)
{
	const char *secrets[] = {one, two};
	const struct hook_signed what = {ID, AT, bytes_of(BODY, strlen(BODY))};

	return hook_sign(secrets, two == NULL ? 1 : 2, &what, out);
}

static void assert_signed(const char *one, const char *two, const char *expected)
{
	char out[HOOK_SECRETS_MAX * HOOK_SIGNATURE_MAX];

	assert_true(sign(one, two, out));
	assert_string_equal(out, expected);
}

static void a_signature_is_what_others_compute(void **state)
{
	(void)state;
	assert_signed(SECRET, NULL, SIGNED);
	assert_signed(SEED, NULL, SIGNED_BY_SEED);
	assert_signed(PAIR, NULL, SIGNED_BY_SEED);
}

static void each_secret_signs(void **state)
{
	(void)state;
	assert_signed(SECRET, PAIR, SIGNED " " SIGNED_BY_SEED);
	assert_signed(PAIR, SECRET, SIGNED_BY_SEED " " SIGNED);
	assert_signed(PAIR, PAIR, SIGNED_BY_SEED " " SIGNED_BY_SEED);
}

static void what_is_no_secret_signs_nothing(void **state)
{
	static const char *const none[] = {"", "whsec_", "whsk_", "MfKQ9r8GKYqrTwjUPD8I",
	    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!=", "whsec_abc",
	    "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
	char out[HOOK_SECRETS_MAX * HOOK_SIGNATURE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_false(sign(none[i], NULL, out));
	assert_false(sign(SECRET, "", out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_signature_is_what_others_compute),
	    cmocka_unit_test(each_secret_signs),
	    cmocka_unit_test(what_is_no_secret_signs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
