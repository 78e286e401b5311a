/* SPDX-License-Identifier: Apache-2.0 */
/* Key files inside a backup: table kept_file(name, bytes), which no running database has. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "db/db_priv.h"

#define KEPT_FILE_MAX 16384
#define KEPT_CACHE    512

static bool is_key_file(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && (strcmp(dot, ".key") == 0 || strcmp(dot, ".crt") == 0);
}

static dr_err_t keep_file(struct db_reader *c, const char *dir, const char *name,
                          struct dr_errinfo *info)
{
    char path[DR_PATH_MAX];
    char *bytes;
    size_t len;
    dr_err_t err = dr_path_join(path, dir, name);

    err = err == DR_OK ? dr_file_read(path, KEPT_FILE_MAX, &bytes, &len, info) : err;
    if (err != DR_OK) {
        return err;
    }
    struct conn_q q = conn_q(c, "INSERT INTO kept_file (name, bytes) VALUES (?, ?)");
    conn_put_text(&q, name);
    conn_put_blob(&q, dr_bytes_of(bytes, len));
    err = conn_run(&q, NULL);
    dr_wipe(bytes, len);
    free(bytes);
    return err;
}

static dr_err_t keep_all(struct db_reader *c, const char *dir, struct dr_errinfo *info)
{
    DIR *d = opendir(dir);
    dr_err_t err = d == NULL ? dr_file_err("read", dir, info) : DR_OK;

    for (struct dirent *e; err == DR_OK && (e = readdir(d)) != NULL;) {
        if (is_key_file(e->d_name)) {
            err = keep_file(c, dir, e->d_name, info);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return err;
}

dr_err_t db_kept_put(const char *path, const char *keys_dir, struct dr_errinfo *info)
{
    struct db_reader c;
    dr_err_t err = conn_open(&c, path, CONN_WRITE, NULL, KEPT_CACHE, info);

    if (err != DR_OK) {
        return err;
    }
    err = conn_exec(&c, "CREATE TABLE kept_file (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) "
                        "STRICT");
    err = err == DR_OK ? keep_all(&c, keys_dir, info) : err;
    conn_close(&c);
    return err;
}

static dr_err_t take_all(struct db_reader *c, db_kept_fn *fn, void *data, unsigned *ret)
{
    struct conn_q q = conn_q(c, "SELECT name, bytes FROM kept_file");
    dr_err_t err = DR_OK;

    *ret = 0;
    while (err == DR_OK && conn_row(&q)) {
        const char *name = conn_col_text(&q, 0);
        /* a name, not a path: the backup may come from anywhere */
        err = is_key_file(name) && strchr(name, '/') == NULL ? fn(data, name, conn_col_blob(&q, 1))
                                                             : DR_ERR_CORRUPT;
        (*ret)++;
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

dr_err_t db_kept_take(const char *path, db_kept_fn *fn, void *data, unsigned *ret,
                      struct dr_errinfo *reterr)
{
    dr_assert(path != NULL && fn != NULL && ret != NULL);
    struct db_reader c;
    int64_t there = 0;
    dr_err_t err = conn_open(&c, path, CONN_WRITE, NULL, KEPT_CACHE, reterr);

    *ret = 0;
    if (err != DR_OK) {
        return err;
    }
    err = conn_int(&c, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'kept_file')",
                   &there);
    if (err == DR_OK && there != 0) {
        err = take_all(&c, fn, data, ret);
        if (err == DR_OK) {
            err = conn_exec(&c, "PRAGMA secure_delete = ON; DROP TABLE kept_file; VACUUM");
        }
    }
    conn_close(&c);
    return err;
}
