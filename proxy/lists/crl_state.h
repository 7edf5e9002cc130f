/* crl_state.h - the files of one list in the state directory.
 *
 *	STATE/crl/SCOPE/current   the DER in force
 *	STATE/crl/SCOPE/next      the list whose changes are being told, while they are
 *	STATE/crl/SCOPE/told      the list whose changes have all been told
 *	STATE/crl/SCOPE/first     told, while that is the first list of its scope and what
 *	                          it has of watched certificates is being told
 *	STATE/crl/SCOPE/hints     struct crl_hints of current, and its URL: text
 *	STATE/crl/SCOPE/same      the list that this one is, under another name: its scope
 *	STATE/crl/SCOPE/pace      how often its CA issues it (crl_pace.h)
 *	STATE/crl/SCOPE/new.*     under way; deleted at start
 *
 * SCOPE is the hexadecimal of the scope's id (change_log.h).  next and told are hard
 * links: a list is written once.  Every step is a rename after an fsync, so that a kill
 * -9 anywhere leaves one of two states, and current carries the CRLNumber and thisUpdate
 * below which nothing is taken any more (R96).  A file is never written to once it has
 * one of these names: who has it open may map or send it.
 *
 * The functions block: disk thread or bulk thread, one at a time for one scope.
 */
#ifndef PROXY_LISTS_CRL_STATE_H
#define PROXY_LISTS_CRL_STATE_H

#include <sys/stat.h>

#include "cache/change/change_log.h"
#include "cache/crl/crl_set.h"

enum crl_state_name { CRL_CURRENT, CRL_NEXT, CRL_TOLD, CRL_FIRST };

/* The scope's id: SHA-256 over issuer name, NUL, scope.  False when out of memory. */
bool crl_scope_id(const char *issuer, const char *scope, uint8_t id[CHANGE_SCOPE_N]);

/* The folder's path (dir has room for dir_n bytes); touches no disk.  0, or -1 with
 * ENAMETOOLONG. */
int crl_state_path(const char *state_directory, const uint8_t id[CHANGE_SCOPE_N],
    char *dir, size_t dir_n);
/* What is in a list's folder: the cheap first look at it. */
struct crl_state_seen {
	bool file[CRL_FIRST + 1]; /* by enum crl_state_name */
	bool hints;
	bool same;
	bool pace;
};
/* Look into dir, which is made when it is missing: in STATE/crl, whose entry of it is
 * durable when crl_state_install() has returned.  clean: delete what an earlier life left
 * half done.  0 or errno. */
int crl_state_look(const char *dir, bool clean, struct crl_state_seen *seen);
/* A new file for reading and writing, in *path (room for path_n).  fd, or -1, errno. */
int crl_state_new(const char *dir, char *path, size_t path_n);
/* -1 with errno: ENOENT where there is none; ENXIO or ELOOP where it is no regular file
 * (a FIFO, a link, a device, ...): that is never waited for, nor read. */
int crl_state_open(const char *dir, enum crl_state_name name);
int crl_state_stat(const char *dir, enum crl_state_name name, struct stat *s);
/* What such an errno means, for people.  Borrowed until the next call. */
const char *crl_state_why(int e);
/* Make the file at path (written in full, open as fd) current, durable when it returns.
 * 0, or -1 with errno, as in the next two; then it may be tried again. */
int crl_state_install(const char *dir, const char *path, int fd);
/* Make `to` another name of what `from` is now, durable; CRL_NEXT is removed by
 * crl_state_told(), which renames it to told. */
int crl_state_link(const char *dir, enum crl_state_name from, enum crl_state_name to);
int crl_state_told(const char *dir);
/* CRL_FIRST is gone, durable; also where there is none. */
int crl_state_first_told(const char *dir);

/* A short text of this name beside them, for what is only a hint: where it cannot be
 * written, or read into text_n bytes (false; it ends with NUL), it is as if it had never
 * been. */
void crl_state_text_write(const char *dir, const char *name, const char *text);
bool crl_state_text_read(const char *dir, const char *name, char *text, size_t text_n);

/* The list is that of another scope, until one of its own is made current.  Only a hint:
 * where it cannot be written or read, that is found out again. */
void crl_state_join(const char *dir, const char *scope);
char *crl_state_same(const char *dir); /* owned; NULL: it is not known to be another */

/* By which a list is known again.  A validator that may be that of two lists hides the
 * second of them until a third one comes, so each is kept only where it cannot be. */
struct crl_hints {
	char etag[256], last_modified[64]; /* "" for none */
	int64_t before;                    /* as in struct crl_file */
	uint8_t sha256[32];
};
/* What of a response's header fields may be asked with the next time; the others are
 * "".  Last-Modified counts whole seconds, and some servers make their ETag of it (nginx:
 * of it and the size): both only where Date says that the second was over by two when
 * the response was made (RFC 9110 section 8.8.2.2).  An ETag without Last-Modified was
 * made of something else, and a strong one is another for each change (section 8.8.1): it
 * is kept.  A weak one may stay when the list changes, and never is. */
void crl_hints_take(
    struct crl_hints *h, const char *etag, const char *last_modified, const char *date);
/* Only hints: absent, unreadable, no regular file or of a URL that is none of these gives
 * empty ones, with CRL_BEFORE_UNKNOWN.  Returns whose they are; n: nobody's. */
size_t crl_hints_read(const char *dir, char *const *url, size_t n, struct crl_hints *h);
void crl_hints_write(const char *dir, const char *url, const struct crl_hints *h);

#endif
