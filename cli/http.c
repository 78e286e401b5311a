/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/evp.h>

struct sink {
    char *text;
    size_t len;
    FILE *file; /* instead of text */
};

static size_t take_bytes(char *data, size_t size, size_t count, void *user)
{
    struct sink *s = user;
    size_t n = size * count;

    if (s->file != NULL) {
        return fwrite(data, 1, n, s->file);
    }
    if (s->len + n > CLI_ANSWER_MAX) {
        return 0;
    }
    char *grown = realloc(s->text, s->len + n + 1);
    if (grown == NULL) {
        return 0;
    }
    memcpy(grown + s->len, data, n);
    s->text = grown;
    s->len += n;
    s->text[s->len] = '\0';
    return n;
}

static bool prepare_as(struct cli *c, const char *path, const char *type,
                       struct curl_slist **headers, char *url, size_t cap)
{
    char line[512];
    const char *base = c->url == NULL ? "http://127.0.0.1:8080" : c->url;
    size_t len = strlen(base);

    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    int n = snprintf(url, cap, "%.*s%s", (int)len, base, path);
    if (n < 0 || (size_t)n >= cap) {
        return false;
    }
    if (c->curl == NULL) {
        c->curl = curl_easy_init();
    }
    if (c->curl == NULL) {
        return false;
    }
    curl_easy_reset(c->curl);
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, c->timeout_s + 10);
    const char *ca = getenv("DROVER_CA_FILE");
    if (ca != NULL) {
        curl_easy_setopt(c->curl, CURLOPT_CAINFO, ca);
    }
    if (c->api_key != NULL) {
        n = snprintf(line, sizeof line, "Authorization: Bearer %s", c->api_key);
        if (n < 0 || (size_t)n >= sizeof line) {
            return false;
        }
        *headers = curl_slist_append(*headers, line);
        explicit_bzero(line, sizeof line);
    }
    if (type != NULL) {
        *headers = curl_slist_append(*headers, type);
    }
    *headers = curl_slist_append(*headers, "Expect:");
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, *headers);
    return true;
}

static bool prepare(struct cli *c, const char *path, struct curl_slist **headers, char *url,
                    size_t cap)
{
    return prepare_as(c, path, "Content-Type: application/json", headers, url, cap);
}

static void perform(struct cli *c, struct sink *sink, struct cli_answer *ret)
{
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, sink);
    CURLcode rc = curl_easy_perform(c->curl);
    if (rc != CURLE_OK) {
        (void)snprintf(ret->error, sizeof ret->error, "no answer from the server: %s",
                       curl_easy_strerror(rc));
        return;
    }
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &ret->status);
    ret->json = json_loadb(sink->text == NULL ? "" : sink->text, sink->len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
}

/* Uploads take as long as they take, unless nothing moves. */
static void patience(struct cli *c)
{
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
    curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, c->timeout_s + 30);
}

static bool parts_add(curl_mime *mime, const struct cli_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (parts[i].file == NULL && parts[i].text == NULL) {
            continue;
        }
        curl_mimepart *part = curl_mime_addpart(mime);
        if (part == NULL || curl_mime_name(part, parts[i].name) != CURLE_OK ||
            (parts[i].file != NULL
                 ? curl_mime_filedata(part, parts[i].file)
                 : curl_mime_data(part, parts[i].text, CURL_ZERO_TERMINATED)) != CURLE_OK) {
            return false;
        }
    }
    return true;
}

void cli_upload_form(struct cli *c, const char *path, const struct cli_part *parts, size_t n,
                     struct cli_answer *ret)
{
    struct curl_slist *headers = NULL;
    struct sink sink = {0};
    char url[4096];
    curl_mime *mime = NULL;

    *ret = (struct cli_answer){0};
    for (size_t i = 0; i < n; i++) {
        if (parts[i].file != NULL && access(parts[i].file, R_OK) != 0) {
            (void)snprintf(ret->error, sizeof ret->error, "cannot read '%.150s': %s", parts[i].file,
                           strerror(errno));
            return;
        }
    }
    if (prepare_as(c, path, NULL, &headers, url, sizeof url)) {
        mime = curl_mime_init(c->curl);
    }
    if (mime == NULL || !parts_add(mime, parts, n)) {
        (void)snprintf(ret->error, sizeof ret->error, "cannot make the request");
    } else {
        curl_easy_setopt(c->curl, CURLOPT_MIMEPOST, mime);
        patience(c);
        perform(c, &sink, ret);
    }
    curl_mime_free(mime);
    ret->text = sink.text;
    ret->len = sink.len;
    curl_slist_free_all(headers);
}

void cli_upload_chunk(struct cli *c, const char *path, const void *bytes, size_t len, uint64_t at,
                      struct cli_answer *ret)
{
    struct curl_slist *headers = NULL;
    struct sink sink = {0};
    char url[4096], text[96];
    uint8_t md5[EVP_MAX_MD_SIZE], base64[32];
    unsigned n = 0;

    *ret = (struct cli_answer){0};
    if (EVP_Digest(bytes, len, md5, &n, EVP_md5(), NULL) != 1 || n != 16 ||
        !prepare_as(c, path, "Content-Type: application/octet-stream", &headers, url, sizeof url)) {
        (void)snprintf(ret->error, sizeof ret->error, "cannot make the request");
    } else {
        (void)EVP_EncodeBlock(base64, md5, (int)n);
        (void)snprintf(text, sizeof text, "Content-MD5: %s", (const char *)base64);
        headers = curl_slist_append(headers, text);
        if (len != 0) {
            (void)snprintf(text, sizeof text, "Content-Range: bytes %llu-%llu/*",
                           (unsigned long long)at, (unsigned long long)(at + len - 1));
            headers = curl_slist_append(headers, text);
        }
        curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, bytes);
        patience(c);
        perform(c, &sink, ret);
    }
    ret->text = sink.text;
    ret->len = sink.len;
    curl_slist_free_all(headers);
}

void cli_request(struct cli *c, const char *method, const char *path, const json_t *body,
                 struct cli_answer *ret)
{
    struct curl_slist *headers = NULL;
    struct sink sink = {0};
    char url[4096];
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);

    *ret = (struct cli_answer){0};
    if (!prepare(c, path, &headers, url, sizeof url) || (body != NULL && text == NULL)) {
        (void)snprintf(ret->error, sizeof ret->error, "cannot make the request");
    } else {
        curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
        if (text != NULL) {
            curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
            curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text);
        }
        perform(c, &sink, ret);
    }
    ret->text = sink.text;
    ret->len = sink.len;
    if (text != NULL) {
        explicit_bzero(text, strlen(text)); /* it may hold device keys */
    }
    free(text);
    curl_slist_free_all(headers);
}

void cli_answer_fini(struct cli_answer *a)
{
    json_decref(a->json);
    free(a->text);
    *a = (struct cli_answer){0};
}

static int exit_of_status(long status)
{
    switch (status) {
    case 401:
    case 403:
        return CLI_DENIED;
    case 404:
        return CLI_NOT_FOUND;
    case 408:
    case 504:
        return CLI_TIMEOUT;
    default:
        return CLI_FAILED;
    }
}

int cli_answer_check(const struct cli_answer *a)
{
    if (a->status == 0) {
        return cli_fail(CLI_FAILED, "%s", a->error);
    }
    if (a->status >= 200 && a->status < 300) {
        return CLI_OK;
    }
    const char *message = cli_text(a->json, "message");
    if (message[0] == '\0' && a->json == NULL && a->text != NULL) {
        message = a->text; /* /v2 errors are bare text */
    }
    /* of a body that is not valid, the first field says what is wrong with it */
    const json_t *field = json_array_get(json_object_get(a->json, "fields"), 0);
    const char *name = cli_text(field, "name"), *why = cli_text(field, "message");
    return cli_fail(exit_of_status(a->status), "refused (%ld)%s%.200s%s%.100s%s%.200s", a->status,
                    message[0] ? ": " : "", message, name[0] ? ": " : "", name, why[0] ? ": " : "",
                    why);
}

int cli_delete(struct cli *c, const char *prefix, const char *id)
{
    char path[512];
    struct cli_answer a;
    char *escaped = cli_escape(id);
    int n = escaped == NULL ? -1 : snprintf(path, sizeof path, "%s/%s", prefix, escaped);

    free(escaped);
    if (n < 0 || (size_t)n >= sizeof path) {
        return CLI_USAGE;
    }
    cli_request(c, "DELETE", path, NULL, &a);
    int rc = cli_answer_check(&a);
    cli_answer_fini(&a);
    return rc;
}

int cli_answer_made(const struct cli *c, struct cli_answer *a)
{
    int rc = cli_answer_check(a);

    if (rc == CLI_OK && c->json) {
        cli_print_json(c, a->json);
    } else if (rc == CLI_OK) {
        printf("%s\n", cli_text(a->json, "id"));
    }
    cli_answer_fini(a);
    return rc;
}

int cli_download(struct cli *c, const char *path, const char *file)
{
    struct curl_slist *headers = NULL;
    char url[4096];
    int fd = open(file, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "wb");

    if (out == NULL) {
        int why = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return cli_fail(CLI_FAILED, "cannot make '%s': %s", file, strerror(why));
    }
    struct sink sink = {.file = out};
    CURLcode rc = CURLE_FAILED_INIT;
    if (prepare(c, path, &headers, url, sizeof url)) {
        curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
        curl_easy_setopt(c->curl, CURLOPT_FAILONERROR, 1L);
        curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_bytes);
        curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &sink);
        rc = curl_easy_perform(c->curl);
    }
    long status = 0;
    if (c->curl != NULL) {
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_slist_free_all(headers);
    bool written = fflush(out) == 0 && fsync(fd) == 0;
    written = fclose(out) == 0 && written;
    if (rc == CURLE_OK && written) {
        return CLI_OK;
    }
    (void)unlink(file);
    return cli_fail(status >= 400 ? exit_of_status(status) : CLI_FAILED, "download failed: %s",
                    rc == CURLE_OK ? "the file could not be written" : curl_easy_strerror(rc));
}

int cli_list(struct cli *c, const char *path, const char *query, long limit,
             bool (*each)(void *data, const json_t *item), void *data)
{
    char after[80] = "";
    bool more = true;

    while (more && limit != 0) {
        char url[3072];
        long page = limit > 0 && limit < 1000 ? (limit < 2 ? 2 : limit) : 1000;
        int n = snprintf(url, sizeof url, "%s?limit=%ld%s%s%s%s", path, page, query[0] ? "&" : "",
                         query, after[0] ? "&after=" : "", after);
        if (n < 0 || (size_t)n >= sizeof url) {
            return cli_fail(CLI_USAGE, "the filter is too long");
        }
        struct cli_answer a;
        cli_request(c, "GET", url, NULL, &a);
        int rc = cli_answer_check(&a);
        const json_t *items = json_object_get(a.json, "data");
        size_t i;
        json_t *item;
        if (rc == CLI_OK && !json_is_array(items)) {
            rc = cli_fail(CLI_FAILED, "the answer is no list");
        }
        json_array_foreach(items, i, item)
        {
            (void)snprintf(after, sizeof after, "%s", cli_text(item, "id"));
            if (limit == 0 || !each(data, item)) {
                limit = 0;
                break;
            }
            limit -= limit > 0;
        }
        const char *marker = cli_text(a.json, "continuation_marker");
        if (marker[0] != '\0') {
            (void)snprintf(after, sizeof after, "%s", marker);
        }
        more = json_is_true(json_object_get(a.json, "has_more")) && json_array_size(items) > 0;
        cli_answer_fini(&a);
        if (rc != CLI_OK) {
            return rc;
        }
    }
    return CLI_OK;
}
