# What the bench is made of, and how it is started.  bench/run says what it does.
BENCH := $(patsubst %,$(B)/bench/%,floor load ca make_answers make_crl near publisher subscribers fleet)
BENCH_LIB := $(patsubst %,$(B)/bench/%.o,hist pairs cpu wire loop listed)
SOURCES += $(wildcard bench/*.[ch])

$(B)/bench/libbench.a: $(BENCH_LIB)
	@rm -f $@
	$(AR) rcs $@ $^
$(BENCH): $(B)/bench/%: $(B)/bench/%.o $(B)/bench/libbench.a
	$(CC) $(CFLAGS) $(LDFLAGS) $^ -lxxhash -lssl -lcrypto -o $@
# Of the inventory alone, with the daemon's own code: build/bench/inventory [LISTS [CERTIFICATES]]
$(B)/bench/inventory: $(B)/bench/inventory.o $(B)/libocspcached.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
# A miss beside that of another binary, in turns: make bench-misses BASE=PATH
bench bench-quick bench-misses bench-lists bench-tls bench-watchlists:
	@.ci/packages build redis bench
	@$(SUBMAKE) all bench-tools
	@B=$(B) bench/run $(if $(filter bench-quick,$@),--quick) $(if $(filter bench-lists,$@),--parts lists$(comma)burden$(comma)push) \
		$(if $(filter bench-tls,$@),--parts secured) $(if $(filter bench-watchlists,$@),--parts watchlists) \
		$(if $(filter bench-misses,$@),--parts misses) $(if $(BASE),--base $(BASE))
bench-tools: $(BENCH) $(B)/bench/inventory
.PHONY: bench bench-quick bench-misses bench-lists bench-tls bench-watchlists bench-tools
