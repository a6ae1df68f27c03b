/* The functions that the host provides. Guests use core.h; this is what it is made of.
 *
 * `long` has 32 bits in wasm32. Names and meanings are those of mobula_guest::abi.
 */
#ifndef FAASM_HOST_INTERFACE_H
#define FAASM_HOST_INTERFACE_H

#include <stdint.h>

#if defined(__wasm__)
#define FAASM_IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#else
#define FAASM_IMPORT(name)
#endif

#ifdef __cplusplus
extern "C" {
#endif

FAASM_IMPORT(__faasm_read_input) long __faasm_read_input(uint8_t* buffer, long len);
FAASM_IMPORT(__faasm_write_output) void __faasm_write_output(const uint8_t* data, long len);
FAASM_IMPORT(__faasm_get_idx) int __faasm_get_idx(void);
FAASM_IMPORT(__faasm_get_conf_flag) unsigned int __faasm_get_conf_flag(const char* key);

FAASM_IMPORT(__faasm_chain_function)
unsigned int __faasm_chain_function(const char* name, const uint8_t* input, long len);
FAASM_IMPORT(__faasm_chain_this)
unsigned int __faasm_chain_this(int idx, const uint8_t* input, long len);
FAASM_IMPORT(__faasm_chain_ptr)
unsigned int __faasm_chain_ptr(int (*function)(void), const uint8_t* input, long len);
FAASM_IMPORT(__mobula_chain_range)
unsigned int __mobula_chain_range(int idx, int64_t lo, int64_t hi, int64_t grain,
                                  const uint8_t* input, long len);
FAASM_IMPORT(__mobula_get_range) int __mobula_get_range(int64_t* lo, int64_t* hi);
FAASM_IMPORT(__mobula_chain_at)
unsigned int __mobula_chain_at(const char* key, int64_t offset, int idx, const uint8_t* input,
                               long len);
FAASM_IMPORT(__mobula_await_any)
unsigned int __mobula_await_any(const unsigned int* ids, long n);
FAASM_IMPORT(__faasm_await_call) int __faasm_await_call(unsigned int id);
FAASM_IMPORT(__faasm_await_call_output)
int __faasm_await_call_output(unsigned int id, uint8_t* buffer, long len);
FAASM_IMPORT(__mobula_await_output_size)
int __mobula_await_output_size(unsigned int id, uint32_t* size);
FAASM_IMPORT(__mobula_take_output)
long __mobula_take_output(unsigned int id, uint8_t* buffer, long len);

FAASM_IMPORT(__faasm_read_state)
long __faasm_read_state(const char* key, uint8_t* buffer, long len);
FAASM_IMPORT(__faasm_write_state)
void __faasm_write_state(const char* key, const uint8_t* data, long len);
FAASM_IMPORT(__faasm_read_state_offset)
void __faasm_read_state_offset(const char* key, long total, long offset, uint8_t* buffer, long len);
FAASM_IMPORT(__faasm_write_state_offset)
void __faasm_write_state_offset(const char* key, long total, long offset, const uint8_t* data,
                                long len);
FAASM_IMPORT(__faasm_read_state_ptr) uint8_t* __faasm_read_state_ptr(const char* key, long total);
FAASM_IMPORT(__faasm_read_state_offset_ptr)
uint8_t* __faasm_read_state_offset_ptr(const char* key, long total, long offset, long len);
FAASM_IMPORT(__faasm_flag_state_dirty) void __faasm_flag_state_dirty(const char* key, long total);
FAASM_IMPORT(__faasm_flag_state_offset_dirty)
void __faasm_flag_state_offset_dirty(const char* key, long total, long offset, long len);
FAASM_IMPORT(__faasm_push_state) void __faasm_push_state(const char* key);
FAASM_IMPORT(__faasm_push_state_partial) void __faasm_push_state_partial(const char* key);
FAASM_IMPORT(__faasm_push_state_partial_mask)
void __faasm_push_state_partial_mask(const char* key, const char* mask_key);
FAASM_IMPORT(__mobula_push_merge) void __mobula_push_merge(const char* key, int type, int op);
FAASM_IMPORT(__mobula_merge_state)
void __mobula_merge_state(const char* key, long total, long offset, const uint8_t* data, long len,
                          int type, int op);
FAASM_IMPORT(__mobula_state_create) void __mobula_state_create(const char* key, long len);
FAASM_IMPORT(__mobula_state_delete) void __mobula_state_delete(const char* key);
FAASM_IMPORT(__mobula_unmap) void __mobula_unmap(void* window);
FAASM_IMPORT(__faasm_pull_state) void __faasm_pull_state(const char* key, long len);

FAASM_IMPORT(__faasm_append_state)
void __faasm_append_state(const char* key, const uint8_t* data, long len);
FAASM_IMPORT(__faasm_read_appended_state)
void __faasm_read_appended_state(const char* key, uint8_t* buffer, long len, long elements);
FAASM_IMPORT(__faasm_clear_appended_state) void __faasm_clear_appended_state(const char* key);

FAASM_IMPORT(__faasm_lock_state_read) void __faasm_lock_state_read(const char* key);
FAASM_IMPORT(__faasm_unlock_state_read) void __faasm_unlock_state_read(const char* key);
FAASM_IMPORT(__faasm_lock_state_write) void __faasm_lock_state_write(const char* key);
FAASM_IMPORT(__faasm_unlock_state_write) void __faasm_unlock_state_write(const char* key);
FAASM_IMPORT(__faasm_lock_state_global) void __faasm_lock_state_global(const char* key);
FAASM_IMPORT(__faasm_unlock_state_global) void __faasm_unlock_state_global(const char* key);

FAASM_IMPORT(__mobula_blas_ddot)
double __mobula_blas_ddot(long n, const double* x, long incx, const double* y, long incy);
FAASM_IMPORT(__mobula_blas_daxpy)
void __mobula_blas_daxpy(long n, double alpha, const double* x, long incx, double* y, long incy);
FAASM_IMPORT(__mobula_blas_dgemv)
void __mobula_blas_dgemv(int trans, long m, long n, double alpha, const double* a, long lda,
                         const double* x, long incx, double beta, double* y, long incy);
FAASM_IMPORT(__mobula_blas_dgemm)
void __mobula_blas_dgemm(int transA, int transB, long m, long n, long k, double alpha,
                         const double* a, long lda, const double* b, long ldb, double beta,
                         double* c, long ldc);
FAASM_IMPORT(__mobula_blas_sgemm)
void __mobula_blas_sgemm(int transA, int transB, long m, long n, long k, double alpha,
                         const float* a, long lda, const float* b, long ldb, double beta, float* c,
                         long ldc);
FAASM_IMPORT(__mobula_blas_dspmv)
void __mobula_blas_dspmv(long m, long n, long nnz, double alpha, const int32_t* rows,
                         const int32_t* columns, const double* values, const double* x, double beta,
                         double* y);

#ifdef __cplusplus
}
#endif

#endif
