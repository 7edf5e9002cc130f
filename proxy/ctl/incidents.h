/* incidents.h - ocspctl incident, and ocspctl check --incident.
 */
#ifndef PROXY_CTL_INCIDENTS_H
#define PROXY_CTL_INCIDENTS_H

#include "proxy/ctl/run.h"

int incident(const struct run *run);

/* Which of these certificates stand on a CA's list, by their serials?  Both are read
 * here, and nobody is asked.  EXIT_REVOKED where one does; else EXIT_UNDETERMINED where a
 * file cannot be read or has no certificate; EXIT_USAGE where the list is bad. */
int check_incident(const struct run *run);

#endif
