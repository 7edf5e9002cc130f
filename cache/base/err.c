/* The table's columns as arrays. */
#include "cache/base/err.h"

#include <assert.h>

static const struct {
	const char *label, *text;
	int wire;
} table[] = {
#define X(code, label, wire, text) [code] = {label, text, wire},
    ERR_TABLE(X)
#undef X
};

const char *err_text(enum err e)
{
	assert(e < ERR_COUNT);
	return table[e].text;
}

const char *err_label(enum err e)
{
	assert(e < ERR_COUNT);
	return table[e].label;
}

int err_wire(enum err e)
{
	assert(e < ERR_COUNT);
	return table[e].wire;
}
