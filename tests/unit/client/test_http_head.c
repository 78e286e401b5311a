/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/http_head.h"

#include <string.h>

#include "tests/unit/run.h"

#define OK200 "HTTP/1.1 200 OK\r\n"

/* spec: RFC9112#4, RFC9110#14.4 */
static const struct {
    const char *why, *text;
    bool good;
    struct http_head want;
} cases[] = {
    {"bare", "HTTP/1.1 404 Not Found\r\n", true, {.status = 404}},
    {"no reason", "HTTP/1.0 200\r\n", true, {.status = 200}},
    {"length",
     OK200 "content-LENGTH: 12\r\n",
     true,
     {.status = 200, .has_length = true, .length = 12}},
    {"length without a space, with some behind it",
     OK200 "Server: x\r\nContent-Length:5 \r\nX: y\r\n",
     true,
     {.status = 200, .has_length = true, .length = 5}},
    {"range",
     "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 7-9/10\r\n",
     true,
     {.status = 206, .has_range = true, .from = 7}},
    {"chunks", OK200 "Transfer-Encoding: chunked\r\n", true, {.status = 200, .encoded = true}},
    {"the same length twice",
     OK200 "Content-Length: 5\r\nContent-Length: 5\r\n",
     true,
     {.status = 200, .has_length = true, .length = 5}},
    {"two lengths", OK200 "Content-Length: 5\r\nContent-Length: 6\r\n", false, {0}},
    {"a name that only begins so", OK200 "Content-Lengthy: 5\r\n", true, {.status = 200}},
    {"a value that looks like a field", OK200 "X: Content-Length: 5\r\n", true, {.status = 200}},
    {"no number", OK200 "Content-Length: x\r\n", false, {0}},
    {"negative", OK200 "Content-Length: -5\r\n", false, {0}},
    {"number and more", OK200 "Content-Length: 5x\r\n", false, {0}},
    {"huge", OK200 "Content-Length: 99999999999999999999\r\n", false, {0}},
    {"range of something else", "HTTP/1.1 206 x\r\nContent-Range: lines 7-9/10\r\n", false, {0}},
    {"range not satisfied", "HTTP/1.1 416 x\r\nContent-Range: bytes */10\r\n", false, {0}},
    {"not HTTP", "ICY 200 OK\r\n", false, {0}},
    {"HTTP/2", "HTTP/2.0 200 OK\r\n", false, {0}},
    {"status of two digits", "HTTP/1.1 20 OK\r\n", false, {0}},
    {"status of four digits", "HTTP/1.1 2000 OK\r\n", false, {0}},
    {"status that is none", "HTTP/1.1 099 OK\r\n", false, {0}},
    {"cut short", "HTTP/1.1", false, {0}},
    {"nothing", "", false, {0}},
};

START_TEST(heads_are_read_strictly)
{
    struct http_head got = {.status = 7};

    ck_assert_msg(http_head_parse(cases[_i].text, &got) == cases[_i].good, "%s", cases[_i].why);
    if (!cases[_i].good) {
        ck_assert_msg(got.status == 7, "%s: output touched", cases[_i].why);
        return;
    }
    const struct http_head *w = &cases[_i].want;
    ck_assert_msg(got.status == w->status && got.has_length == w->has_length &&
                      got.length == w->length && got.has_range == w->has_range &&
                      got.from == w->from && got.encoded == w->encoded,
                  "%s", cases[_i].why);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client http");
    TCase *tc = add_case(suite, "head");

    tcase_add_loop_test(tc, heads_are_read_strictly, 0, sizeof cases / sizeof *cases);
    return run_suite(suite);
}
