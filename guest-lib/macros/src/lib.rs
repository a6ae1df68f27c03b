//! The attributes `main`, `func` and `proto` of `mobula-guest`, where they are documented again.
//!
//! ```text
//!  fn f(a: A) -> R { … } ─▶ const f: mobula::Func<fn(A) -> R>
//!                           export "_faasm_func_<index>", which also keeps two functions from
//!                           having one index: a symbol is defined once
//!                           natively: a line of the list that the program is started with
//! ```

use proc_macro::TokenStream;
use proc_macro2::{Span, TokenStream as Tokens};
use quote::{format_ident, quote};
use syn::{Attribute, Error, FnArg, ItemFn, LitInt, ReturnType, Type, parse_macro_input};

/// Indices of functions by name begin here; those that a person writes are small.
const NAMED: u32 = 1 << 16;
/// Entries have indices up to this: the host takes signed numbers.
const LAST: u32 = i32::MAX as u32;

/// Makes a function main: entry 0. It takes nothing and returns nothing, a `Status`, or a `Result`
/// of one of them, whose error is printed and becomes 1.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let expanded = no_arguments(args, "main").and_then(|()| expand_main(&function));
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// Makes a function the proto-function: it runs once, and every call starts from the memory it
/// left. It may run more than once (on each host): make it idempotent. It can neither chain nor
/// lock.
#[proc_macro_attribute]
pub fn proto(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let expanded = no_arguments(args, "proto").and_then(|()| expand_proto(&function));
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// Makes a function an entry that can be chained: `#[mobula::func]`, or `#[mobula::func(7)]` where C
/// or Python chain it by its index. Parameters and result travel as `Wire` says.
///
/// Without a number the index is a hash of the name (32-bit FNV-1a, folded into 65536..2147483647).
/// Two functions with one index are an error when the program is compiled or linked: both define
/// the symbol `_faasm_func_<index>`.
#[proc_macro_attribute]
pub fn func(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let expanded = index(args, &function).and_then(|index| expand_func(index, &function));
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

fn no_arguments(args: TokenStream, name: &str) -> syn::Result<()> {
    if args.is_empty() {
        return Ok(());
    }
    Err(Error::new(Span::call_site(), format!("#[mobula::{name}] takes nothing")))
}

/// The number in the attribute, or one made of the function's name.
fn index(args: TokenStream, function: &ItemFn) -> syn::Result<u32> {
    if args.is_empty() {
        return Ok(index_of(&function.sig.ident.to_string()));
    }
    let number: LitInt = syn::parse(args)?;
    match number.base10_parse() {
        Ok(index @ 1..=LAST) => Ok(index),
        _ => Err(Error::new(number.span(), format!("an index is 1 to {LAST}; main is entry 0"))),
    }
}

fn index_of(name: &str) -> u32 {
    let hash = name
        .bytes()
        .fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    NAMED + hash % (LAST - NAMED)
}

/// What no entry can have.
fn check_plain(function: &ItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    let why = if signature.asyncness.is_some() {
        "an entry is not async"
    } else if !signature.generics.params.is_empty() {
        "an entry has no generics: it is called from outside"
    } else if signature.unsafety.is_some() || signature.variadic.is_some() {
        "an entry is a safe function"
    } else {
        return Ok(());
    };
    Err(Error::new_spanned(signature, why))
}

fn check_no_parameters(function: &ItemFn, name: &str) -> syn::Result<()> {
    check_plain(function)?;
    if function.sig.inputs.is_empty() {
        return Ok(());
    }
    let why = format!("{name} takes nothing; mobula::input() gives the input");
    Err(Error::new_spanned(&function.sig.inputs, why))
}

fn expand_main(function: &ItemFn) -> syn::Result<Tokens> {
    check_no_parameters(function, "main")?;
    let (attributes, body) = (&function.attrs, &function.block);
    let (output, name) = (&function.sig.output, &function.sig.ident);
    Ok(quote! {
        #(#attributes)*
        fn __mobula_main_body() #output #body

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an export; no other symbol has its name")]
        const _: () = {
            #[unsafe(export_name = "__mobula_main")]
            extern "C" fn __mobula_main() -> i32 {
                ::mobula::__private::main_entry(__mobula_main_body)
            }
        };

        // The start of a WASI command, for other runtimes.
        #[cfg(target_family = "wasm")]
        fn #name() {
            let code = ::mobula::__private::main_entry(__mobula_main_body);
            if code != 0 {
                ::std::process::exit(code);
            }
        }

        #[cfg(not(target_family = "wasm"))]
        fn #name() {
            ::mobula::__private::run_program(|| {
                ::mobula::__private::main_entry(__mobula_main_body)
            });
        }
    })
}

fn expand_proto(function: &ItemFn) -> syn::Result<Tokens> {
    check_no_parameters(function, "proto")?;
    let name = &function.sig.ident;
    Ok(quote! {
        #function

        const _: () = {
            #[cfg(target_family = "wasm")]
            #[allow(unsafe_code, reason = "an export; no other symbol has its name")]
            #[unsafe(export_name = "_faasm_zygote")]
            extern "C" fn __mobula_proto() -> i32 {
                ::mobula::__private::proto_entry(#name)
            }

            #[cfg(not(target_family = "wasm"))]
            ::mobula::__private::inventory::submit! {
                ::mobula::__private::Registered::proto(|| ::mobula::__private::proto_entry(#name))
            }
        };
    })
}

/// Types of the parameters.
fn parameters(function: &ItemFn) -> syn::Result<Vec<&Type>> {
    let typed = function.sig.inputs.iter().map(|argument| match argument {
        FnArg::Typed(typed) => match &*typed.ty {
            Type::Reference(reference) => Err(Error::new_spanned(
                reference,
                "what travels between calls is owned: String instead of &str, Vec<T> instead of &[T]",
            )),
            owned => Ok(owned),
        },
        FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "an entry is no method")),
    });
    let types: Vec<_> = typed.collect::<syn::Result<_>>()?;
    if types.len() > 6 {
        let why = "at most six parameters travel; put them into a struct";
        return Err(Error::new_spanned(&function.sig.inputs, why));
    }
    Ok(types)
}

fn expand_func(index: u32, function: &ItemFn) -> syn::Result<Tokens> {
    check_plain(function)?;
    let types = parameters(function)?;
    let output = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, of) => quote!(#of),
    };
    let (visibility, name) = (&function.vis, &function.sig.ident);
    let documents = |attribute: &&Attribute| attribute.path().is_ident("doc");
    let docs: Vec<_> = function.attrs.iter().filter(documents).collect();
    let mut body = function.clone();
    body.vis = syn::Visibility::Inherited;
    // Not the name itself: in its own body that is the constant, so that a function can chain itself.
    let inner = format_ident!("__mobula_{}", name);
    body.sig.ident = inner.clone();
    body.attrs.retain(|attribute| !documents(&attribute));
    let text = name.to_string();
    let export = format!("_faasm_func_{index}");
    Ok(quote! {
        #(#docs)*
        #[allow(non_upper_case_globals, reason = "it is used as the function")]
        #visibility const #name: ::mobula::Func<fn(#(#types),*) -> #output> = {
            #body

            ::mobula::Func::new(#index, #inner)
        };

        #[allow(unsafe_code, reason = "an export; equal indices are refused as equal symbols")]
        const _: () = {
            #[unsafe(export_name = #export)]
            extern "C-unwind" fn __mobula_entry() -> i32 {
                ::mobula::__private::call_entry(#name)
            }

            #[cfg(not(target_family = "wasm"))]
            ::mobula::__private::inventory::submit! {
                ::mobula::__private::Registered::entry(#index, #text, || __mobula_entry())
            }
        };
    })
}
