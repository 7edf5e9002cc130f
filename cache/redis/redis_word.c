/* The table.  Words are those of Redis 5 to 7.2; where a text is compared and not a word
 * alone, the word says too little. */
#include "cache/redis/redis_word.h"

#include <string.h>

#define LEAVE  true
#define STAY   false
#define RIGHTS "give its user the rights that ocspcached(8) lists"
#define LOGIN  "check user and password in the URL of the store"
#define NODE   "use a Redis that is not part of a cluster"

static const struct redis_word table[] = {
    {"READONLY", LEAVE, ERR_STORE,
	"let the name of the store lead to the master; it is looked up again"},
    {"LOADING", LEAVE, ERR_STORE, "wait until Redis has read its data"},
    {"MASTERDOWN", LEAVE, ERR_STORE,
	"let the name of the store lead to the master; it is looked up again"},
    {"CLUSTERDOWN", LEAVE, ERR_STORE, NODE},
    {"NOAUTH", LEAVE, ERR_STORE, LOGIN},
    {"WRONGPASS", LEAVE, ERR_STORE, LOGIN},
    {"ERR invalid password", LEAVE, ERR_STORE, LOGIN}, /* before Redis 6 */
    {"ERR DB index is out of range", LEAVE, ERR_STORE,
	"name a database that Redis has in the URL of the store"},
    {"DENIED", LEAVE, ERR_STORE, "set a password, or bind Redis to loopback"},
    {"ERR max number of clients reached", LEAVE, ERR_STORE, "raise maxclients of Redis"},
    {"MISCONF", STAY, ERR_STORE,
	"make room where Redis keeps its data; its own log says what failed"},
    {"OOM", STAY, ERR_STORE_FULL, "raise maxmemory of Redis, or use volatile-lru"},
    {"NOREPLICAS", STAY, ERR_STORE,
	"bring its replicas back, or lower min-replicas-to-write"},
    {"NOPERM", STAY, ERR_STORE, RIGHTS},
    {"ERR The user executing the script can't", STAY, ERR_STORE, RIGHTS}, /* 7.0 */
    {"ERR ACL failure in script", STAY, ERR_STORE, RIGHTS},               /* 7.2 */
    {"BUSY", STAY, ERR_STORE, "end the script that holds Redis up: SCRIPT KILL"},
    {"MOVED", STAY, ERR_STORE, NODE},
    {"ASK", STAY, ERR_STORE, NODE},
    {"CROSSSLOT", STAY, ERR_STORE, NODE},
    {"TRYAGAIN", STAY, ERR_STORE, NODE},
};

/* Does text begin with these words, and not only with their letters? */
static bool begins_with(const char *text, const char *words)
{
	size_t n = strlen(words);

	return strncmp(text, words, n) == 0 && (text[n] == ' ' || text[n] == '\0');
}

/* What a command inside a script was answered with: "ERR Error running script (call to
 * f_...): @user_script:1: @user_script: 1: -OOM command not allowed ...". */
static const char *inside_script(const char *text)
{
	const char *p = NULL;

	if (strncmp(text, "ERR Error running script", 24) == 0)
		p = strstr(text, ": -");
	return p != NULL ? p + 3 : text;
}

const struct redis_word *redis_word_in(const char *text)
{
	text = inside_script(text);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (begins_with(text, table[i].word))
			return &table[i];
	return NULL;
}

const struct redis_word *redis_word_of(const redisReply *r)
{
	return r->type == REDIS_REPLY_ERROR ? redis_word_in(r->str) : NULL;
}

enum err redis_word_err(const redisReply *r)
{
	const struct redis_word *w = redis_word_of(r);

	return w != NULL ? w->err : ERR_STORE;
}

void redis_word_clean(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text == 127 || *text == '"' || *text == '\\')
			*text = '?';
}

const char *redis_word_remedy(const struct redis_word *w)
{
	return w != NULL ? w->remedy : "";
}
