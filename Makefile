# make            the daemon and its client      make run        a demo: CA, responder, ocspcached
# make test       everything but the long tests  make unit       the inner loop: unit tests only
# SAN=address,undefined or SAN=thread with any of them (a build folder each); B=DIR builds elsewhere; V=1 shows
# the commands; STORE=redis, PORT=, API_PORT=, CONF= are for run
VERSION := $(shell sed -n 's/^.define OCSPCACHED_VERSION "\(.*\)"/\1/p' proxy/base/version.h)
RELEASED := $(shell sed -n 's/^.define OCSPCACHED_RELEASED INT64_C(\([0-9]*\))/\1/p' proxy/base/version.h)
CC      ?= cc
# With sanitizers, and of tests: a third of the time that -O2 takes to compile, the same findings.
OPT     ?= $(if $(SAN),-O1 -g1,-O2 -g)
HARDEN  := -fstack-protector-strong -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wmissing-declarations \
           -Wpointer-arith -Wsign-compare -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef \
           $(if $(SAN),-Wno-format-truncation,$(if $(CI),-Werror))# what sanitizers insert makes gcc warn of what is not
comma   := ,
SANFLAG := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
B       ?= build$(if $(SAN),/$(subst $(comma),-,$(SAN)))
CPPFLAGS += -I. -D_GNU_SOURCE
CFLAGS  += -std=c11 $(OPT) $(WARN) $(if $(SAN),$(SANFLAG) -U_FORTIFY_SOURCE,$(HARDEN)) -fPIE -pthread
LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now
LDLIBS  := -levent_core -levent_pthreads -lhiredis -lcurl -llmdb -lxxhash -ljansson -lconfuse -lssl -lcrypto
# Some 400 programs of tests are linked with whole archives: gold, where it is, takes half the time for it.
GOLD    := $(if $(shell command -v ld.gold 2>/dev/null),-fuse-ld=gold)
PREFIX  ?= /usr/local

# All but main.c and the client.
LIB      := $(patsubst %.c,$(B)/%.o,$(filter-out proxy/main.c proxy/ctl/%,$(wildcard cache/*/*.c conf/*.c proxy/*/*.c)))
UNITS    := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit/*.c))
SCENES   := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/scenario/*.c))
COSTS    := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/cost/*.c))
FUZZ     := $(patsubst tests/fuzz/%.c,%,$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
REPLAYS  := $(FUZZ:%=$(B)/fuzz/%)
# What tests share is an archive; tests/lib/fake_*.c replace modules, so that only scenarios get them, before
# the archive of the real ones.
TESTLIB  := $(patsubst %.c,$(B)/%.o,$(filter-out tests/lib/fake_%.c,$(wildcard tests/lib/*.c)))
FAKES    := $(patsubst %.c,$(B)/%.o,$(wildcard tests/lib/fake_*.c))
Q        := $(if $(V),,@)
say       = $(if $(V),,@echo "  $1  $@")
ENGINE   ?=# of the fuzz targets: empty for the replay of their corpora, -fsanitize=fuzzer to search
NPROC    := $(shell nproc 2>/dev/null || echo 2)
# A second make in a recipe uses all cores, or the jobs that this one was given.
SUBMAKE   = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(NPROC))

all: $(B)/ocspcached $(B)/ocspctl
tests: all programs $(COSTS)
programs: $(UNITS) $(SCENES) $(REPLAYS)

$(B)/libocspcached.a: $(LIB)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^
$(B)/libtest.a: $(TESTLIB)
	@mkdir -p $(@D); rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^
$(B)/ocspcached: $(B)/proxy/main.o $(B)/libocspcached.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(B)/ocspctl: $(patsubst %.c,$(B)/%.o,$(wildcard proxy/ctl/*.c)) $(B)/libocspcached.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(UNITS): $(B)/unit/%: $(B)/tests/unit/%.o $(B)/libtest.a $(B)/libocspcached.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@
$(SCENES): $(B)/scenario/%: $(B)/tests/scenario/%.o $(FAKES) $(B)/libtest.a $(B)/libocspcached.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@
$(UNITS) $(SCENES) $(COSTS) $(if $(ENGINE),,$(REPLAYS)): LDFLAGS += $(GOLD)
# It counts how often the reader of lists looks at a header by itself.
$(B)/unit/crl_read: LDFLAGS += -Wl,--wrap=crl_tlv_take
$(COSTS): $(B)/cost/%: $(B)/tests/cost/%.o $(FAKES) $(B)/libtest.a $(B)/libocspcached.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(REPLAYS): $(B)/fuzz/%: $(B)/tests/fuzz/%.o $(if $(ENGINE),,$(B)/tests/fuzz/replay.o) $(B)/libocspcached.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(ENGINE) $^ $(LDLIBS) -o $@
$(B)/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/tests/%.o: OPT := $(if $(filter -O2,$(OPT)),-O1 -g,$(if $(filter -O1,$(OPT)),-O0 -g1,$(OPT)))
# A fuzz target's entry point is declared nowhere: libFuzzer finds it by its name.
$(B)/tests/fuzz/%.o: CFLAGS += -Wno-missing-prototypes -Wno-missing-declarations

# Changes when the compiler or its flags do; and says what is missing before the compiler does in its words.
export define FLAGS
$(CC) $(CPPFLAGS) $(CFLAGS)
endef
$(B)/.flags: FORCE
	@mkdir -p $(@D)
	@echo "$$FLAGS" | cmp -s - $@ || { .ci/packages --check build && echo "$$FLAGS" >$@; }
FORCE:

# What tests/run takes for its part "sanitized".
SANITIZED = $(SUBMAKE) SAN=address,undefined B=$(B)/address-undefined programs

# What needs packages installs them first, then builds with all cores, then runs.
run:
	@.ci/packages build run $(if $(filter redis,$(STORE)),redis)
	@$(SUBMAKE) all
	@B=$(B) STORE=$(STORE) PORT=$(PORT) API_PORT=$(API_PORT) CONF=$(CONF) exec conf/demo/run
test test-all:
	@.ci/packages build test $(if $(filter test-all,$@),clients deb)
	@$(SUBMAKE) tests
	@$(if $(SAN),,$(SANITIZED))
	@B=$(B) SAN=$(SAN) tests/run $(if $(filter test-all,$@),--all)
sanitized:
	@$(SANITIZED)
	@B=$(B) tests/run $@
unit scenario replay layers e2e:
	@$(SUBMAKE) tests
	@B=$(B) SAN=$(SAN) tests/run $@
deps:
	@.ci/packages build run redis test

# Searches for SECONDS, shared out over the targets; a finding is written to tests/fuzz/corpus/TARGET/, where it
# stays as a regression when it has been looked at.
SECONDS ?= 60
fuzz:
	@.ci/packages build fuzz
	@$(SUBMAKE) B=build/fuzzing CC=clang SAN=fuzzer-no-link,address,undefined \
	    ENGINE=-fsanitize=fuzzer $(FUZZ:%=build/fuzzing/fuzz/%)
	@for t in $(FUZZ); do echo "== $$t"; mkdir -p build/fuzzing/corpus/$$t tests/fuzz/corpus/$$t; \
	    build/fuzzing/fuzz/$$t -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
	        -max_total_time=$$(($(SECONDS) / $(words $(FUZZ)) + 1)) -artifact_prefix=tests/fuzz/corpus/$$t/ \
	        build/fuzzing/corpus/$$t tests/fuzz/corpus/$$t || exit 1; done
SOURCES := $(wildcard cache/*/*.[ch] conf/*.[ch] proxy/*.[ch] proxy/*/*.[ch] tests/unit/*.[ch] \
             tests/scenario/*.[ch] tests/cost/*.[ch] tests/lib/*.[ch] tests/fuzz/*.[ch])
MANS    := $(wildcard proxy/*.8 proxy/ctl/*.1 conf/*.5)
include bench/rules.mk
fmt:
	clang-format -i $(SOURCES)
# The analyzer's findings are for a person: version 14 follows neither va_list nor the lists of sys/queue.h.
TIDY    := -*,clang-analyzer-core*,clang-analyzer-deadcode*,bugprone-*,-bugprone-easily-swappable-parameters,$\
           -bugprone-reserved-identifier,-bugprone-assignment-in-if-condition,-bugprone-narrowing-conversions,$\
           -bugprone-implicit-widening-of-multiplication-result,-bugprone-macro-parentheses,-bugprone-branch-clone,$\
           -bugprone-suspicious-string-compare,-bugprone-sizeof-expression
lint:
	@.ci/packages lint
	clang-format --dry-run --Werror $(SOURCES)
	tests/dialect $(SOURCES)
	clang-tidy --quiet --warnings-as-errors='bugprone-*' --checks='$(TIDY)' \
	    $(wildcard cache/*/*.c conf/*.c proxy/*.c proxy/*/*.c) -- -std=c11 $(CPPFLAGS)
	mandoc -T lint -W warning $(MANS)
	shellcheck .ci/packages .ci/run conf/demo/run conf/demo/fleet conf/deb/build $(wildcard conf/deb/ocspcached.p*) \
	    conf/recipes/renew-when-revoked
cover:
	@.ci/packages build test
	@$(SUBMAKE) B=build/cover OPT="-O0 -g --coverage" tests
	@find build/cover -name '*.gcda' -delete
	@B=build/cover tests/run unit scenario replay e2e
	@gcov -n $$(find build/cover/cache build/cover/conf build/cover/proxy -name '*.gcda') 2>/dev/null | \
	    awk -F"[':% ]+" '/^File/ { f = $$2 } /^Lines/ && f ~ /^(cache|conf|proxy)\// { printf "%6.1f %%  %s\n", $$3, f; f = "" }' | \
	    sort -u -k3 | sort -n

# $(TO) is where a file will be; the quotes are for a DESTDIR with spaces.  The configuration that is installed is the
# example with the API on a unix socket besides, in the folder that the unit makes for it.
TO = "$(DESTDIR)$(PREFIX)"
install: all
	install -d $(TO)/sbin $(TO)/bin $(TO)/share/man/man1 $(TO)/share/man/man5 $(TO)/share/man/man8 \
	    $(TO)/lib/systemd/system $(TO)/share/bash-completion/completions "$(DESTDIR)/etc/ocspcached/issuers.d"
	install -m 755 $(B)/ocspcached $(TO)/sbin/ocspcached
	install -m 755 $(B)/ocspctl $(TO)/bin/ocspctl
	for m in $(MANS); do install -m 644 $$m $(TO)/share/man/man$${m##*.}/ || exit 1; done
	install -m 644 conf/ocspctl.bash-completion $(TO)/share/bash-completion/completions/ocspctl
	sed 's,/usr/sbin/,$(PREFIX)/sbin/,' conf/ocspcached.service >$(TO)/lib/systemd/system/ocspcached.service
	test -e "$(DESTDIR)/etc/ocspcached/ocspcached.conf" || \
	    { sed '/^#api-listen/c\api-listen = { "127.0.0.1:8081", "unix:/run/ocspcached/api.sock" }' \
	        conf/ocspcached.conf >"$(DESTDIR)/etc/ocspcached/ocspcached.conf" && \
	      chmod 644 "$(DESTDIR)/etc/ocspcached/ocspcached.conf"; }
deb:
	@.ci/packages build deb
	@B="$(B)" VERSION="$(VERSION)" RELEASED="$(RELEASED)" conf/deb/build
clean:
	rm -rf build
.PHONY: all tests programs run test test-all unit scenario replay sanitized layers e2e deps fuzz fmt lint cover \
        install deb clean FORCE
.SECONDARY:
-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)
