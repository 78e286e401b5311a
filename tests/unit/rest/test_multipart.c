/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest/multipart.h"
#include "tests/unit/run.h"

/* What came, as text: "name[filename]=bytes;" */
struct seen {
    struct dr_dynbuf text;
    dr_err_t refuse; /* of begin */
};

static dr_err_t on_begin(void *data, const struct rest_part *part)
{
    struct seen *s = data;

    dr_dynbuf_append_str(&s->text, part->name);
    if (part->has_filename) {
        dr_dynbuf_printf(&s->text, "[%s]", part->filename);
    }
    dr_dynbuf_append_char(&s->text, '=');
    return s->refuse;
}

static dr_err_t on_bytes(void *data, struct dr_bytes bytes)
{
    struct seen *s = data;

    ck_assert_uint_gt(bytes.len, 0);
    dr_dynbuf_append_bytes(&s->text, bytes);
    return DR_OK;
}

static dr_err_t on_end(void *data)
{
    struct seen *s = data;

    dr_dynbuf_append_char(&s->text, ';');
    return DR_OK;
}

static const struct rest_multipart_ops ops = {on_begin, on_bytes, on_end};

/* Feed in steps of @p step. The result stands in @p s. */
static dr_err_t parse(const char *type, const char *body, size_t len, size_t step, struct seen *s)
{
    struct rest_multipart m;

    dr_dynbuf_reset(&s->text);
    dr_err_t err = rest_multipart_init(&m, type, &ops, s);
    for (size_t at = 0; err == DR_OK && at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        err = rest_multipart_feed(&m, dr_bytes_of(body + at, n));
    }
    return err == DR_OK ? rest_multipart_finish(&m) : err;
}

#define B "Content-Disposition: form-data; name="

static const struct {
    const char *why; /* spec: RFC7578#4, RFC2046#5.1.1 */
    const char *body;
    dr_err_t err;
    const char *want;
} cases[] = {
    {"file with a type",
     "--B\r\n" B "\"datafile\"; filename=\"a.bin\"\r\n"
     "Content-Type: application/octet-stream\r\n\r\nbytes\r\n--B--\r\n",
     DR_OK, "datafile[a.bin]=bytes;"},
    {"file without a type",
     "--B\r\n" B "\"datafile\"; filename=\"a.bin\"\r\n\r\nbytes\r\n--B--\r\n", DR_OK,
     "datafile[a.bin]=bytes;"},
    {"name behind the file, with a type",
     "--B\r\n" B "\"datafile\"; filename=\"a\"\r\n\r\nx\r\n--B\r\n" B
     "\"name\"\r\nContent-Type: text/plain\r\n\r\nmine\r\n--B--\r\n",
     DR_OK, "datafile[a]=x;name=mine;"},
    {"empty value", "--B\r\n" B "\"name\"\r\n\r\n\r\n--B--\r\n", DR_OK, "name=;"},
    {"empty file name", "--B\r\n" B "\"f\"; filename=\"\"\r\n\r\nx\r\n--B--", DR_OK, "f[]=x;"},
    {"unquoted name", "--B\r\n" B "datafile\r\n\r\nx\r\n--B--", DR_OK, "datafile=x;"},
    {"quote in a file name", "--B\r\n" B "\"f\"; filename=\"a\\\"b.bin\"\r\n\r\nx\r\n--B--", DR_OK,
     "f[a\"b.bin]=x;"},
    {"directories are cut off", "--B\r\n" B "\"f\"; filename=\"C:\\dir\\a.bin\"\r\n\r\nx\r\n--B--",
     DR_OK, "f[a.bin]=x;"},
    {"slashes, too", "--B\r\n" B "\"f\"; filename=\"../../etc/passwd\"\r\n\r\nx\r\n--B--", DR_OK,
     "f[passwd]=x;"},
    {"header in lower case, blanks",
     "--B\r\ncontent-disposition:form-data ;  NAME = \"n\" "
     "\r\n\r\nx\r\n--B--",
     DR_OK, "n=x;"},
    {"extended file name is ignored", "--B\r\n" B "\"f\"; filename*=UTF-8''a.bin\r\n\r\nx\r\n--B--",
     DR_OK, "f=x;"},
    {"preamble and epilogue", "before\r\n--B\r\n" B "\"n\"\r\n\r\nx\r\n--B--\r\nafter --B", DR_OK,
     "n=x;"},
    {"blanks behind the delimiter", "--B \t\r\n" B "\"n\"\r\n\r\nx\r\n--B--", DR_OK, "n=x;"},
    {"bytes like delimiters", "--B\r\n" B "\"n\"\r\n\r\n\r\r\n-\r\n--A--B\r\n\r\n--B--", DR_OK,
     "n=\r\r\n-\r\n--A--B\r\n;"},
    {"encoding that is none",
     "--B\r\n" B "\"n\"\r\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n--B--", DR_OK, "n=x;"},
    {"no parts", "--B--\r\n", DR_OK, ""},
    {"base64", "--B\r\n" B "\"n\"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--B--",
     DR_ERR_UNSUPPORTED, ""},
    {"empty body", "", DR_ERR_PROTO, ""},
    {"cut in the bytes", "--B\r\n" B "\"n\"\r\n\r\nxy", DR_ERR_PROTO, "n=xy"},
    {"cut in the header", "--B\r\n" B "\"n\"\r\n", DR_ERR_PROTO, ""},
    {"no closing delimiter", "--B\r\n" B "\"n\"\r\n\r\nx\r\n--B\r\n", DR_ERR_PROTO, "n=x;"},
    {"half a closing delimiter", "--B\r\n" B "\"n\"\r\n\r\nx\r\n--B-", DR_ERR_PROTO, "n=x;"},
    {"no name", "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--", DR_ERR_PROTO, ""},
    {"no header", "--B\r\n\r\nx\r\n--B--", DR_ERR_PROTO, ""},
    {"not form-data", "--B\r\nContent-Disposition: attachment; name=\"n\"\r\n\r\nx\r\n--B--",
     DR_ERR_PROTO, ""},
    {"open quote", "--B\r\n" B "\"n\r\n\r\nx\r\n--B--", DR_ERR_PROTO, ""},
    {"two names", "--B\r\n" B "\"n\"; name=\"m\"\r\n\r\nx\r\n--B--", DR_ERR_PROTO, ""},
    {"file name is not UTF-8", "--B\r\n" B "\"n\"; filename=\"\xff\"\r\n\r\nx\r\n--B--",
     DR_ERR_PROTO, ""},
    {"junk behind the delimiter", "--BX\r\n" B "\"n\"\r\n\r\nx\r\n--B--", DR_ERR_PROTO, ""},
    {"dash behind blanks", "--B --\r\n", DR_ERR_PROTO, ""},
    {"header line without colon", "--B\r\nhello\r\n\r\nx\r\n--B--", DR_ERR_PROTO, ""},
};

START_TEST(each_form_at_every_cut)
{
    struct seen s = {0};

    dr_dynbuf_init(&s.text, 65536);
    for (size_t step = 1; step < strlen(cases[_i].body) + 2; step++) {
        dr_err_t err = parse("multipart/form-data; boundary=B", cases[_i].body,
                             strlen(cases[_i].body), step, &s);
        ck_assert_msg(err == cases[_i].err, "%s, step %zu: %s", cases[_i].why, step,
                      dr_err_name(err));
        ck_assert_msg(strcmp(dr_dynbuf_str(&s.text), cases[_i].want) == 0, "%s, step %zu: '%s'",
                      cases[_i].why, step, dr_dynbuf_str(&s.text));
    }
    dr_dynbuf_fini(&s.text);
}
END_TEST

static const struct {
    const char *type;
    dr_err_t err;
} types[] = {
    {"multipart/form-data; boundary=B", DR_OK},
    {"Multipart/Form-Data;boundary=\"B\"", DR_OK},
    {"multipart/form-data; charset=utf-8; BOUNDARY=B", DR_OK},
    {"multipart/form-data; boundary=\"a b:c\"", DR_OK},
    {NULL, DR_ERR_UNSUPPORTED},
    {"", DR_ERR_UNSUPPORTED},
    {"application/json", DR_ERR_UNSUPPORTED},
    {"multipart/form-datax; boundary=B", DR_ERR_UNSUPPORTED},
    {"multipart/mixed; boundary=B", DR_ERR_UNSUPPORTED},
    {"multipart/form-data", DR_ERR_PROTO},
    {"multipart/form-data; boundary=", DR_ERR_PROTO},
    {"multipart/form-data; boundary=\"\"", DR_ERR_PROTO},
    {"multipart/form-data; boundary=\"a ", DR_ERR_PROTO},
    {"multipart/form-data; boundary=\"a \"", DR_ERR_PROTO},
    {"multipart/form-data; boundary=a\rb", DR_ERR_PROTO},
    /* 70 characters, and one more */
    {"multipart/form-data; "
     "boundary=0123456789012345678901234567890123456789012345678901234567890123456789",
     DR_OK},
    {"multipart/form-data; "
     "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
     DR_ERR_PROTO},
};

START_TEST(content_type_names_the_boundary)
{
    struct rest_multipart m;

    ck_assert_msg(rest_multipart_init(&m, types[_i].type, &ops, NULL) == types[_i].err, "%s",
                  types[_i].type);
}
END_TEST

START_TEST(parts_have_a_maximum)
{
    struct seen s = {0};
    struct dr_dynbuf body;

    dr_dynbuf_init(&s.text, 65536);
    dr_dynbuf_init(&body, 65536);
    for (unsigned n = 0; n < REST_MULTIPART_PARTS_MAX; n++) {
        dr_dynbuf_append_str(&body, "--B\r\n" B "\"n\"\r\n\r\nx\r\n");
    }
    size_t full = dr_dynbuf_bytes(&body).len;
    dr_dynbuf_append_str(&body, "--B--");
    const char *text = dr_dynbuf_str(&body);
    ck_assert_int_eq(parse("multipart/form-data; boundary=B", text, strlen(text), 999, &s), DR_OK);
    dr_dynbuf_truncate(&body, full);
    dr_dynbuf_append_str(&body, "--B\r\n" B "\"n\"\r\n\r\nx\r\n--B--");
    text = dr_dynbuf_str(&body);
    ck_assert_int_eq(parse("multipart/form-data; boundary=B", text, strlen(text), 999, &s),
                     DR_ERR_LIMIT);
    dr_dynbuf_fini(&body);
    dr_dynbuf_fini(&s.text);
}
END_TEST

START_TEST(headers_have_a_maximum)
{
    struct seen s = {0};
    char body[REST_MULTIPART_HEADER_MAX + 200];

    dr_dynbuf_init(&s.text, 65536);
    int n = snprintf(body, sizeof body, "--B\r\n" B "\"n\"\r\nX: ");
    memset(body + n, 'a', sizeof body - (size_t)n);
    ck_assert_int_eq(parse("multipart/form-data; boundary=B", body, sizeof body, 100, &s),
                     DR_ERR_LIMIT);
    ck_assert_str_eq(dr_dynbuf_str(&s.text), "");
    dr_dynbuf_fini(&s.text);
}
END_TEST

START_TEST(an_error_of_the_receiver_ends_it)
{
    struct seen s = {.refuse = DR_ERR_NOSPACE};
    const char *body = "--B\r\n" B "\"n\"\r\n\r\nx\r\n--B--";

    dr_dynbuf_init(&s.text, 65536);
    ck_assert_int_eq(parse("multipart/form-data; boundary=B", body, strlen(body), 7, &s),
                     DR_ERR_NOSPACE);
    ck_assert_str_eq(dr_dynbuf_str(&s.text), "n=");
    dr_dynbuf_fini(&s.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("multipart");
    TCase *tc = add_case(suite, "feed");
    tcase_add_loop_test(tc, each_form_at_every_cut, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_test(tc, parts_have_a_maximum);
    tcase_add_test(tc, headers_have_a_maximum);
    tcase_add_test(tc, an_error_of_the_receiver_ends_it);
    tc = add_case(suite, "init");
    tcase_add_loop_test(tc, content_type_names_the_boundary, 0, (int)DR_ARRAY_LEN(types));
    return run_suite(suite);
}
