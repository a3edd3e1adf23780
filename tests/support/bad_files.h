/* bad_files.h - every kind of bad model file that we know of, how it is made, and what it is told.
 *
 * Two tables: files that aren't good GGUF (bad_files_gguf.c), and good GGUF that isn't a good model
 * (bad_files_model.c). unit/test_bad_files.c opens each and writes docs/BAD_FILES.md. */
#ifndef BAD_FILES_H
#define BAD_FILES_H

#include "support/gguf_make.h"

struct bad_file {
    const char *family; /* the heading it stands under; NULL ends the table */
    const char *wrong;  /* what is wrong with it */
    void (*make)(struct gguf_make *m);
    const char *told; /* a part of the error that must be there */
    int code;         /* 0: EW_EFORMAT */
};

/* Spoil a small good file: keys "general.architecture" and "key" (u32), tensors "a" (F32, 32 x 2)
 * and "b" (Q8_0, 64 x 2). */
extern const struct bad_file bad_files_gguf[];
void bad_files_start_gguf(struct gguf_make *m);

/* Spoil the tiny llama of gguf_make.h; rows of the family "SentencePiece" have its other
 * vocabulary. */
extern const struct bad_file bad_files_model[];
void bad_files_start_model(struct gguf_make *m, const char *family);

#endif
