/* SPDX-License-Identifier: Apache-2.0 */
#include "server/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/text.h"
#include "db/account.h"
#include "db/db.h"
#include "rest/apikey.h"
#include "server/folder.h"
#include "server/keys.h"
#include "server/run.h"
#include "server/sync.h"

#define COPY_CHUNK 65536

int srv_fail(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("droverd: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

static int fail_info(int code, const struct dr_errinfo *info)
{
    return srv_fail(code, "%s%s%s", info->field, info->field[0] ? ": " : "", info->text);
}

/* ---- init ---- */

struct first {
    int64_t account, key;
    uint8_t hash[DB_SECRET_HASH_LEN];
    int64_t now_ms;
};

static dr_err_t insert_first(struct db_writer *w, void *data)
{
    const struct first *f = data;
    const struct db_account account = {.id = f->account,
                                       .display_name = "Drover",
                                       .status = "ACTIVE",
                                       .tier = "1",
                                       .end_market = "IOT",
                                       .fields = "{}",
                                       .created_at = f->now_ms,
                                       .updated_at = f->now_ms};
    struct db_apikey key = {.id = f->key,
                            .account = f->account,
                            .name = "first key",
                            .role = DB_ROLE_ADMIN,
                            .active = true,
                            .groups = "[]",
                            .created_at = f->now_ms,
                            .updated_at = f->now_ms};

    memcpy(key.secret_hash, f->hash, sizeof key.secret_hash);
    dr_err_t err = db_account_insert(w, &account);
    return err == DR_OK ? db_apikey_insert(w, &key) : err;
}

static void print_first(const struct first *f, const char *dir, const char *key, bool json)
{
    char account[DR_ID_LEN + 1];

    dr_id_format(f->account, account);
    if (json) {
        printf("{\"api_key\":\"%s\",\"account_id\":\"%s\"}\n", key, account);
    } else {
        printf("data folder: %s\naccount:     %s\nAPI key:     %s\n(the key is not shown again)\n",
               dir, account, key);
    }
}

int srv_init(const char *dir, bool json)
{
    struct dr_errinfo info = {0};
    struct db *db = NULL;
    struct srv_keys keys = {0};
    struct db_seal seal;
    const struct db_config config = {.dir = dir, .seal = &seal};
    struct dr_idgen gen;
    struct first first = {.now_ms = (int64_t)dr_wall_ms()};
    char text[REST_APIKEY_LEN + 1];
    dr_err_t err = srv_folder_make(dir, &info);

    if (err == DR_OK) {
        err = srv_keys_open(dir, true, &keys, &info);
    }
    if (err == DR_OK) {
        err = srv_keys_install(&keys, dir, &info);
    }
    if (err == DR_OK) {
        seal = srv_keys_seal(&keys);
        err = db_open(&config, &db, &info);
    }
    if (err == DR_OK) {
        err = dr_idgen_init(&gen, NULL, NULL);
    }
    if (err == DR_OK) {
        first.account = dr_id_new(&gen);
        first.key = dr_id_new(&gen);
        dr_idgen_fini(&gen);
        rest_apikey_make(first.account, first.key, text, first.hash);
        err = srv_write_sync(db, insert_first, &first);
    }
    db = db_close(db);
    srv_keys_close(&keys);
    if (err != DR_OK) {
        if (info.text[0] == '\0') {
            dr_errinfo_set(&info, dir, 0, "%s", dr_err_str(err));
        }
        return fail_info(SRV_EXIT_FOLDER, &info);
    }
    print_first(&first, dir, text, json);
    dr_wipe(text, sizeof text);
    return SRV_EXIT_OK;
}

/* ---- check ---- */

static bool private_mode(const char *dir, const char *name, mode_t allowed, unsigned *count)
{
    char path[DR_PATH_MAX];
    struct stat st;

    if (dr_path_join(path, dir, name) != DR_OK || stat(path, &st) != 0) {
        printf("problem: '%s' is missing\n", name);
        (*count)++;
        return false;
    }
    if ((st.st_mode & 0777 & ~allowed) != 0) {
        printf("problem: '%s' has mode %03o, others may read it\n", name, st.st_mode & 0777);
        (*count)++;
    }
    return true;
}

/* Every file with a secret is private; the keys can be opened; what devices compare is shown. */
static void check_keys(const char *dir, unsigned *problems)
{
    struct dr_errinfo info = {0};
    struct srv_keys keys = {0};
    char hex[3 * CERT_SHA256_LEN];
    char name[64];

    for (int i = 0; i < CERT_N_ROLES + CERT_N_SERVERS; i++) {
        (void)snprintf(name, sizeof name, "keys/%s.key",
                       i < CERT_N_ROLES ? cert_role_name((enum cert_role)i)
                                        : cert_server_name((enum cert_server)(i - CERT_N_ROLES)));
        (void)private_mode(dir, name, 0600, problems);
    }
    dr_err_t err = srv_keys_open(dir, false, &keys, &info);
    err = err == DR_OK ? srv_keys_install(&keys, dir, &info) : err;
    if (err != DR_OK) {
        printf("problem: keys: %s%s%s\n", info.field, info.field[0] ? ": " : "",
               info.text[0] ? info.text : dr_err_str(err));
        (*problems)++;
    } else {
        for (int i = 0; i < CERT_N_ROLES; i++) {
            const struct cert_authority *a =
                cert_install_authority(keys.install, (enum cert_role)i);
            cert_hex_colons(cert_authority_info(a)->fingerprint, CERT_SHA256_LEN, hex);
            printf("%s: SHA-256 %s\n", cert_role_name((enum cert_role)i), hex);
        }
    }
    srv_keys_close(&keys);
}

static void report_problem(void *data, const char *problem)
{
    unsigned *count = data;

    (*count)++;
    printf("problem: %s\n", problem);
}

int srv_check(const char *dir)
{
    struct dr_errinfo info = {0};
    unsigned problems = 0;
    uint8_t key[SRV_TICKET_KEY_LEN];
    int lock;

    if (srv_folder_lock(dir, &lock, &info) != DR_OK) {
        return fail_info(SRV_EXIT_FOLDER, &info);
    }
    (void)private_mode(dir, ".", 0700, &problems);
    if (private_mode(dir, "keys/ticket.key", 0600, &problems) &&
        srv_folder_ticket_key(dir, key, &info) != DR_OK) {
        printf("problem: keys/ticket.key: %s\n", info.text);
        problems++;
    }
    dr_wipe(key, sizeof key);
    check_keys(dir, &problems);
    dr_err_t err = db_check(dir, report_problem, &problems, &info);
    (void)close(lock);
    if (err != DR_OK && err != DR_ERR_CORRUPT) {
        return fail_info(SRV_EXIT_FOLDER, &info);
    }
    if (problems > 0 || err != DR_OK) {
        return srv_fail(SRV_EXIT_FOLDER, "%s: %u problems found", dir, problems);
    }
    puts("ok");
    return SRV_EXIT_OK;
}

/* ---- restore ---- */

static dr_err_t copy_file(const char *from, const char *to, struct dr_errinfo *reterr)
{
    static char chunk[COPY_CHUNK];
    FILE *in = fopen(from, "rbe");
    int fd = in == NULL ? -1 : open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    dr_err_t err = DR_OK;

    if (fd < 0) {
        dr_errinfo_set(reterr, in == NULL ? from : to, 0, "cannot open: %s", strerror(errno));
        if (in != NULL) {
            (void)fclose(in);
        }
        return DR_ERR_IO;
    }
    for (size_t n; err == DR_OK && (n = fread(chunk, 1, sizeof chunk, in)) > 0;) {
        if (write(fd, chunk, n) != (ssize_t)n) {
            err = DR_ERR_IO;
        }
    }
    if (err != DR_OK || ferror(in) || fsync(fd) != 0) {
        dr_errinfo_set(reterr, to, 0, "cannot copy: %s", strerror(errno));
        err = DR_ERR_IO;
    }
    (void)fclose(in);
    (void)close(fd);
    return err;
}

static dr_err_t key_restore(void *data, const char *name, struct dr_bytes bytes)
{
    char dir[DR_PATH_MAX], path[DR_PATH_MAX];
    dr_err_t err = dr_path_join(dir, data, "keys");

    err = err == DR_OK ? dr_path_join(path, dir, name) : err;
    return err == DR_OK ? dr_file_write(path, bytes.p, bytes.len, NULL) : err;
}

int srv_restore(const char *file, const char *dir)
{
    struct dr_errinfo info = {0};
    char path[DR_PATH_MAX];
    unsigned keys = 0;
    dr_err_t err = srv_folder_make(dir, &info);

    if (err == DR_OK) {
        err = dr_path_join(path, dir, DB_FILE);
    }
    if (err == DR_OK) {
        err = copy_file(file, path, &info);
        if (err == DR_OK) {
            /* a backup is one whole file; what is no database, or damaged, is not kept */
            err = db_check(dir, NULL, NULL, &info);
        }
        if (err == DR_OK) {
            err = db_kept_take(path, key_restore, (void *)dir, &keys, &info);
        }
        if (err != DR_OK) {
            (void)unlink(path);
        }
    }
    if (err != DR_OK) {
        return fail_info(SRV_EXIT_FOLDER, &info);
    }
    printf("restored into %s\n", dir);
    if (keys == 0) {
        printf("the backup holds no keys: before the server starts, put the files of the old keys "
               "folder into %s/keys\n",
               dir);
    }
    return SRV_EXIT_OK;
}
