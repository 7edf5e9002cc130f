/* issuer_files.h - a folder with NAME.conf and NAME.pem for each issuer, for
 * include("FOLDER/NAME.conf"), or with a star for all of them.
 *
 * Files that ocspctl discover made begin with a line that says so; others are never
 * written to.  A file is replaced as a whole, when the configuration's own loader has
 * taken the new one, and only where it differs: a daemon that reads the folder meanwhile
 * finds each file as it was or as it will be, the certificate before the section that
 * names it.
 */
#ifndef PROXY_CTL_ISSUER_FILES_H
#define PROXY_CTL_ISSUER_FILES_H

#include "proxy/ctl/proposal.h"

enum issuer_file { ISSUER_FILE_SAME, ISSUER_FILE_WRITTEN, ISSUER_FILE_REFUSED };

/* For proposals_make(): arg is the folder's path. */
bool issuer_files_is_its(void *folder, const struct proposal *p, const char *name);
bool issuer_files_is_taken(void *folder, const char *name);

/* The folder, made where it is missing.  False with a note. */
bool issuer_files_open(const char *folder, struct found *notes);
/* p's two files; refused with a note. */
enum issuer_file issuer_files_put(
    const char *folder, const struct proposal *p, struct found *notes);
/* All that the folder has, as a daemon would read it.  False with notes. */
bool issuer_files_check(const char *folder, struct found *notes);

/* Is this section taken by the loader?  name: what the text is called in errors, and
 * where its paths are seen from.  False with what the loader said first, owned. */
bool issuer_text_loads(const char *name, const char *text, char **why);

#endif
