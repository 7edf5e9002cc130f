# make            the daemon and its client     make test       everything but the long tests
# make unit       the unit tests only           SAN=address,undefined or SAN=thread with any of them
CC      ?= cc
OPT     ?= -O2 -g
HARDEN  := -fstack-protector-strong -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wmissing-declarations \
           -Wpointer-arith -Wsign-compare -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef
comma   := ,
SANFLAG := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
B       ?= build$(if $(SAN),/$(subst $(comma),-,$(SAN)))
CPPFLAGS += -I. -D_GNU_SOURCE
CFLAGS  += -std=c11 $(OPT) $(WARN) $(if $(SAN),$(SANFLAG) -U_FORTIFY_SOURCE,$(HARDEN)) -pthread
LDFLAGS += -pthread -Wl,-z,relro,-z,now
LDLIBS  := -levent_core -levent_pthreads -lhiredis -lcurl -llmdb -lxxhash -ljansson -lconfuse -lssl -lcrypto

LIB     := $(patsubst %.c,$(B)/%.o,$(filter-out proxy/main.c,$(wildcard cache/*.c conf/*.c proxy/*.c)))
UNITS   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*.c))

all: $(B)/ocspcached $(B)/ocspctl
$(B)/libocspcached.a: $(LIB)
	@rm -f $@
	$(AR) rcs $@ $^
$(B)/ocspcached: $(B)/proxy/main.o $(B)/libocspcached.a
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(B)/ocspctl: $(patsubst %.c,$(B)/%.o,$(wildcard proxy/ctl/*.c)) $(B)/libocspcached.a
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(B)/unit/%: $(B)/tests/unit/%.o $(B)/libocspcached.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
unit: $(UNITS)
	@for t in $(UNITS); do $$t || exit 1; done
clean:
	rm -rf build
.PHONY: all unit clean
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
