/* table.c - measure, then print. */
#include "proxy/ctl/table.h"

const char *table_text(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(object, field));
}

const char *table_count(const json_t *object, const char *field, char out[24])
{
	const json_t *n = json_object_get(object, field);

	if (!json_is_integer(n))
		return NULL;
	snprintf(out, 24, "%lld", (long long)json_integer_value(n));
	return out;
}

const char *table_first(const json_t *texts, char out[TABLE_FIRST_MAX])
{
	size_t n = json_array_size(texts);
	const char *first = json_string_value(json_array_get(texts, 0));

	if (n == 0 || first == NULL)
		return NULL;
	if (n > 1)
		snprintf(out, TABLE_FIRST_MAX, "%.255s (and %zu more)", first, n - 1);
	return n > 1 ? out : first;
}

/* They would move the cursor, or worse; U+0080 to U+009F too. */
void show_text(FILE *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;

		fputc(*p < 0x20 || *p == 0x7f || c1 ? '?' : *p, out);
		p += c1;
	}
}

static size_t cell_width(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++) /* characters, not bytes, of UTF-8 */
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void table_row(struct table *t, const char *const *cell)
{
	for (size_t i = 0; i < t->columns; i++) {
		const char *text = cell[i] != NULL && cell[i][0] != '\0' ? cell[i] : "-";
		size_t n = cell_width(text);

		if (t->measuring) {
			if (n > t->width[i])
				t->width[i] = n;
			continue;
		}
		show_text(t->show->out, text);
		if (i + 1 < t->columns)
			fprintf(t->show->out, "%*s", (int)(t->width[i] - n + 2), "");
	}
	if (!t->measuring)
		fputc('\n', t->show->out);
}

void table_print(const struct show *s, const char *const *heading, size_t columns,
    void (*each_row)(struct table *t, const json_t *data), const json_t *data)
{
	struct table t = {s, heading, columns, {0}, true};

	if (s->terminal)
		table_row(&t, heading);
	each_row(&t, data);
	t.measuring = false;
	if (s->terminal)
		table_row(&t, heading);
	each_row(&t, data);
}

void table_line(FILE *out, const char *const *cell, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			fputs("  ", out);
		show_text(out, cell[i] != NULL && cell[i][0] != '\0' ? cell[i] : "-");
	}
	fputc('\n', out);
}

static void feed_rows(struct table *t, const json_t *kept)
{
	size_t n;
	json_t *row;

	json_array_foreach(kept, n, row) {
		const char *cell[COLUMNS_MAX];

		for (size_t i = 0; i < t->columns; i++)
			cell[i] = json_string_value(json_array_get(row, i));
		table_row(t, cell);
	}
}

static void feed_print(struct table_feed *f)
{
	struct show headless = *f->show;

	headless.terminal = !f->headed;
	table_print(&headless, f->heading, f->columns, feed_rows, f->rows);
	f->headed = true;
	json_array_clear(f->rows);
}

/* What is no UTF-8 is no JSON string: a file's name may be so. */
static json_t *cell_of(const char *text)
{
	return text != NULL ? json_string_nocheck(text) : json_null();
}

void table_feed(struct table_feed *f, const char *const *cell)
{
	json_t *row;

	if (!f->show->terminal) {
		table_line(f->show->out, cell, f->columns);
		return;
	}
	if (f->rows == NULL)
		f->rows = json_array();
	row = json_array();
	for (size_t i = 0; i < f->columns; i++)
		json_array_append_new(row, cell_of(cell[i]));
	json_array_append_new(f->rows, row);
	if (json_array_size(f->rows) == TABLE_FEED_ROWS)
		feed_print(f);
}

void table_feed_end(struct table_feed *f)
{
	if (json_array_size(f->rows) > 0)
		feed_print(f);
	json_decref(f->rows);
	f->rows = NULL;
}
