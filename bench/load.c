/* load.c - the load generator.
 *
 *	load -p PORT -a PAIRS [-c CONNS] [-m get|post] [-k] [-r RATE] [-t SECONDS]
 *	     [-w WARM-UP] [-f KEY] [-o] [-x] [-s PID]...
 *
 *	-k  a connection for each request       -o  each key once, then stop
 *	-r  open loop at this rate              -x  flood: serials that nobody has (POST)
 *	-f  every answer is this key's (floor)  -s  a server's process, for its CPU time
 *	-k -x  clients that ask for such serials and leave
 *
 * Prints one line of JSON and ends with 1 when an answer was wrong.  "limit" says who
 * could do no more: in a closed loop the rate means something only when it is the server;
 * CPU for a request means something in any case.
 */
#include <arpa/inet.h>
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/cpu.h"
#include "bench/loop.h"

#define PIDS     16
#define FULL     0.95 /* of a core: then it is the limit */
#define CONN_MAX 60000

struct meter {
	int pid[PIDS];
	size_t pids;
	struct cpu before, after;
	double own; /* seconds of our CPU */
};

static double own_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_measure(void *arg, bool begins)
{
	struct meter *m = arg;

	cpu_read(begins ? &m->before : &m->after, m->pid, m->pids);
	m->own = begins ? own_cpu() : own_cpu() - m->own;
}

static const char *limit(double rate, double own, double busiest, bool has_server)
{
	if (rate > 0)
		return "rate";
	if (!has_server)
		return own < FULL ? "server?" : "generator?";
	if (busiest >= FULL)
		return own < FULL ? "server" : "both";
	return own < FULL ? "neither" : "generator";
}

static void report(const struct plan *p, const struct result *r, const struct meter *m)
{
	static const struct {
		const char *name;
		double q;
	} quantile[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
	uint64_t all = r->latency.n;
	int64_t cpu, busiest;
	double busy, own = m->own / r->seconds;

	cpu_between(&m->before, &m->after, &cpu, &busiest);
	busy = (double)busiest / 1e9 / r->seconds;
	printf("{\"requests\": %llu, \"seconds\": %.3f, \"rate\": %.0f, \"wrong\": %llu, "
	       "\"broken\": %llu, \"behind\": %llu, ",
	    (unsigned long long)all, r->seconds, (double)all / r->seconds,
	    (unsigned long long)r->wrong, (unsigned long long)r->broken,
	    (unsigned long long)r->behind);
	for (size_t i = 0; i < sizeof quantile / sizeof quantile[0]; i++)
		printf("\"%s_us\": %.1f, ", quantile[i].name,
		    (double)hist_quantile(&r->latency, quantile[i].q) / 1e3);
	printf("\"max_us\": %.1f, \"own_cpu\": %.3f, \"server_cpu\": %.3f, "
	       "\"busiest\": %.3f, \"server_us\": %.3f, \"limit\": \"%s\"}\n",
	    (double)r->latency.max / 1e3, own, (double)cpu / 1e9 / r->seconds, busy,
	    all > 0 ? (double)cpu / 1e3 / (double)all : 0,
	    limit(p->rate, own, busy, m->pids > 0));
}

static int usage(void)
{
	fprintf(stderr, "usage: load -p PORT -a PAIRS [-c CONNS] [-m get|post] [-k] "
			"[-r RATE] [-t SECONDS] [-w WARM-UP] [-f KEY] [-o] [-x] "
			"[-s PID]...\n");
	return 64;
}

int main(int argc, char **argv)
{
	struct plan plan = {.conns = 64, .fixed = -1, .warm = 0.3, .seconds = 2};
	struct rlimit most = {CONN_MAX + 64, CONN_MAX + 64};
	static struct meter meter;
	static struct result result;
	struct pairs pairs = {NULL, 0};
	bool post = false;
	struct wire wire;
	int port = 0, o;

	while ((o = getopt(argc, argv, "p:a:c:m:kr:t:w:f:oxs:")) != -1)
		switch (o) {
		case 'p':
			port = atoi(optarg);
			break;
		case 'a':
			pairs = pairs_open(optarg);
			break;
		case 'c':
			plan.conns = atoi(optarg);
			break;
		case 'm':
			post = strcmp(optarg, "post") == 0;
			break;
		case 'k':
			plan.reconnect = true;
			break;
		case 'r':
			plan.rate = atof(optarg);
			break;
		case 't':
			plan.seconds = atof(optarg);
			break;
		case 'w':
			plan.warm = atof(optarg);
			break;
		case 'f':
			plan.fixed = atol(optarg);
			break;
		case 'o':
			plan.once = true;
			break;
		case 'x':
			plan.strange = plan.any = post = true;
			break;
		case 's':
			if (meter.pids < PIDS)
				meter.pid[meter.pids++] = atoi(optarg);
			break;
		default:
			return usage();
		}
	if (port == 0 || pairs.n == 0 || plan.conns < 1 || plan.conns > CONN_MAX ||
	    plan.fixed >= (long)pairs.n)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &most);
	wire = wire_make(&pairs, post, plan.reconnect);
	plan.at = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	plan.wire = &wire;
	plan.measure = on_measure;
	plan.arg = &meter;
	loop_run(&plan, &result);
	report(&plan, &result, &meter);
	return result.wrong > 0 || result.latency.n == 0;
}
