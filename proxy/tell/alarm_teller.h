/* alarm_teller.h - alarms on their way into the log.
 *
 * What is owed to its readers (proxy/base/alarms_news.h) is taken once a second, so that
 * what is found together is told together: in rounds, the next when all of one has been
 * answered.  Of a round those of one issuer share batches.
 *
 *	IDLE --- something is owed ---> KEEPING ---> TELLING ---> IDLE
 *	  ^                                             |
 *	  +---------- the log refuses: a pause ---------+
 *
 * Before a round goes into the log, STATE/alarms.json has all that readers will then have
 * as raised, durable; after it, in the next second, it has no more than that.  So a kill
 * anywhere leaves there at least what they have, and the next life clears what is not so
 * any more.  Where the disk refuses, they are told all the same.
 *
 * No barrier is passed: nobody acts on an alarm.  The log away, they wait; that it is
 * away is an alarm itself (log_down), which is told when it is back, as raised and as
 * cleared.
 *
 * Keeper's thread.
 */
#ifndef PROXY_TELL_ALARM_TELLER_H
#define PROXY_TELL_ALARM_TELLER_H

#include "proxy/tell/log_writer.h"

struct alarm_teller;

/* From here on alarms are told; with what an earlier life has left in this state
 * directory.  NULL: out of memory. */
struct alarm_teller *alarm_teller_new(
    struct log_writer *writer, const char *state_directory);
void alarm_teller_tick(struct alarm_teller *t); /* once a second */
/* Nothing more is begun: what is owed then is told by the next life, or never was. */
void alarm_teller_cancel(struct alarm_teller *t);
/* After the log was closed, and the disk thread has stopped. */
void alarm_teller_free(struct alarm_teller *t); /* NULL is allowed */

#endif
