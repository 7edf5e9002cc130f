/* watch_rows.h - what lists say of certificates, for who asks of many: one transaction
 * and one cursor, from open to close.
 *
 * Questions in the order of the file (a list's certificates of one CA, in the order of
 * crl_order()) are answered from the page of the one before, mostly: some 0.2 us each.
 *
 * One owner, one thread.  What it holds is a view of the file, whose pages nobody may
 * use again meanwhile: it is closed before its callback ends.
 */
#ifndef CACHE_WATCH_WATCH_ROWS_H
#define CACHE_WATCH_WATCH_ROWS_H

#include "cache/watch/watch_db.h"

struct watch_rows;

/* ERR_NOMEM, ERR_STORE. */
enum err watch_rows_open(struct watch_rows **out, struct watch_db *db);
void watch_rows_close(struct watch_rows *r); /* NULL is allowed */
/* Of the certificate of the CA that e is an entry of, what a list of this generation
 * says; row borrows from the file until r is closed.  ERR_NOT_FOUND: the list has it no
 * more, or was swept; ERR_RECORD: damaged, as watch_db_why() says; ERR_STORE. */
enum err watch_rows_find(struct watch_rows *r, uint32_t generation, uint32_t ca,
    const struct crl_entry *e, struct watch_record *row);

#endif
