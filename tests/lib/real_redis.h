/* real_redis.h - a redis-server of the test's own.
 *
 * It listens on the unix socket DIR/redis alone, keeps nothing unless it is told to, and
 * ends with the thread that has started it, however that ends: a test that aborts leaves
 * no server behind.  One at a time.
 */
#ifndef TESTS_LIB_REAL_REDIS_H
#define TESTS_LIB_REAL_REDIS_H

#include <stdbool.h>

bool real_redis_is_installed(void);
/* more: further arguments, NULL behind the last; NULL for none.  False: it did not come
 * up within five seconds. */
bool real_redis_start(const char *dir, const char *const more[]);
void real_redis_flush(void); /* all that it holds goes */
bool real_redis_runs(void);  /* any thread, and so is what follows */
void real_redis_stop(void);  /* kill -9; nothing where there is none */
void real_redis_pause(bool); /* it hangs, until it is told to go on */

#endif
