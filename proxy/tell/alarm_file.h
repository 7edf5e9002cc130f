/* alarm_file.h - STATE/alarms.json: the alarms that readers of the change log have as
 * raised, by this node.
 *
 *	{"raised":[{"alarm","issuer","subject","since","node"}...]}
 *
 * Replaced as a whole, so that a kill leaves the one before or the new one.  It blocks:
 * the disk thread, and the start.
 */
#ifndef PROXY_TELL_ALARM_FILE_H
#define PROXY_TELL_ALARM_FILE_H

#include "cache/base/bytes.h"

#define ALARM_FILE_NAME "alarms.json"

/* Durable when it returns.  0 or errno. */
int alarm_file_write(const char *state_directory, struct bytes text);
/* Each that is in it is inherited (alarms_news.h); none where there is no file.  Names
 * that this version does not know are passed over.  False: it could not be read, or has
 * something else; why (of why_n) says what. */
bool alarm_file_read(const char *state_directory, char *why, size_t why_n);

#endif
