/* version.h - what this release calls itself. */
#ifndef PROXY_VERSION_H
#define PROXY_VERSION_H

#define OCSPCACHED_VERSION "0.1.0"

#endif
