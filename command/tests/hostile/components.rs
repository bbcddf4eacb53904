//! Components that attack by their code, not by their model.
//!
//! [`Core`] is a small detector in the text format, of which any part can be replaced; [`nest`] adds an inner component that is
//! instantiated along with it.

use std::fmt::Write as _;
use std::path::Path;

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, WorldItem};

/// The interface that a detector exports.
const DETECTION: &str = "qualm:detector/detection@0.1.2";

/// The parts of a detector: function bodies in the text format. By default it works, and scores a value with itself.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    /// Imports, which come first.
    pub(crate) imports: String,
    /// Further imports of its world, in WIT.
    pub(crate) world: String,
    /// Initial pages of memory.
    pub(crate) pages: u32,
    /// Other items.
    pub(crate) items: String,
    /// The body of `cabi_realloc`.
    pub(crate) realloc: String,
    /// The beginnings of these functions' bodies.
    pub(crate) open: String,
    pub(crate) describe: String,
    pub(crate) observe: String,
    pub(crate) save: String,
    /// The body of the function that the host calls after it has read the answer of `observe`.
    pub(crate) after: String,
    /// Pointer and length of its kind.
    pub(crate) kind: (u32, u32),
    /// The pointer to the answer of `observe`.
    pub(crate) answer: u32,
}

impl Default for Core {
    fn default() -> Self {
        Self {
            imports: String::new(),
            world: String::new(),
            pages: 17,
            items: String::new(),
            realloc: BUMP_ALLOCATOR.to_owned(),
            open: String::new(),
            describe: String::new(),
            observe: String::new(),
            save: String::new(),
            after: String::new(),
            kind: (8, 5),
            answer: 256,
        }
    }
}

/// A bump allocator, which `observe` resets.
const BUMP_ALLOCATOR: &str = "
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at)";

impl Core {
    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let Self { imports, world, pages, items, realloc, open, describe, observe, save, after, kind, answer } = self;
        let (kind, kind_length) = kind;
        let text = format!(
            "(module
                (import \"[export]{DETECTION}\" \"[resource-new]detector\" (func $new (param i32) (result i32)))
                {imports}
                (memory (export \"memory\") {pages})
                (data (i32.const 8) \"plain\")
                (global $next (mut i32) (i32.const 65536))
                {items}
                (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export \"{DETECTION}#[static]detector.open\") (param i32 i32) (result i32)
                    {open}
                    (i32.store8 (i32.const 64) (i32.const 0))
                    (i32.store (i32.const 68) (call $new (i32.const 1)))
                    (i32.const 64))
                (func (export \"{DETECTION}#[method]detector.describe\") (param i32) (result i32)
                    {describe}
                    (i32.store (i32.const 128) (i32.const {kind})) (i32.store (i32.const 132) (i32.const {kind_length}))
                    (i32.store (i32.const 136) (i32.const 8)) (i32.store (i32.const 140) (i32.const 5))
                    (i32.store (i32.const 144) (i32.const 1)) (i32.store (i32.const 148) (i32.const 0))
                    (i32.store (i32.const 152) (i32.const 8)) (i32.store (i32.const 156) (i32.const 5))
                    (i32.const 128))
                (func (export \"{DETECTION}#[method]detector.observe\")
                    (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                    {observe}
                    (i32.store8 (i32.const 256) (i32.const 0))
                    (i32.store (i32.const 260) (local.get 5)) (i32.store (i32.const 264) (local.get 6))
                    (i32.store (i32.const 268) (local.get 5))
                    (i32.store (i32.const 272) (i32.mul (local.get 6) (local.get 7)))
                    (i32.const {answer}))
                (func (export \"cabi_post_{DETECTION}#[method]detector.observe\") (param i32)
                    {after}
                    (global.set $next (i32.const 65536)))
                (func (export \"{DETECTION}#[method]detector.forget\") (param i32 i32 i32))
                (func (export \"{DETECTION}#[method]detector.save\") (param i32 i32 i32) (result i32)
                    {save}
                    (i32.store (i32.const 512) (i32.const 0)) (i32.store (i32.const 516) (i32.const 0))
                    (i32.const 512))
                (func (export \"{DETECTION}#[method]detector.restore\") (param i32 i32 i32 i32 i32) (result i32)
                    (i32.store8 (i32.const 576) (i32.const 0))
                    (i32.const 576)))"
        );
        let mut module = wat::parse_str(text).expect("the text is right");
        let (resolve, world) = resolve(world);
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("it has a place for it");
        ComponentEncoder::default().validate(true).module(&module).expect("a module").encode().expect("a component")
    }

    /// A detector with these imports and this body of `observe`.
    pub(crate) fn calling(imports: &str, world: &str, observe: &str) -> Self {
        Self { imports: imports.to_owned(), world: world.to_owned(), observe: observe.to_owned(), ..Self::default() }
    }

    /// A detector that imports all of WASI 0.2.
    pub(crate) fn everything() -> Self {
        let (resolve, world) = resolve(ALL_OF_WASI);
        let mut imports = String::new();
        for (key, item) in &resolve.worlds[world].imports {
            let WorldItem::Interface { id, .. } = item else { continue };
            let module = resolve.name_world_key(key);
            for (name, function) in &resolve.interfaces[*id].functions {
                let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
                let types = |types: &[WasmType]| types.iter().map(|one| core_type(*one)).collect::<Vec<_>>().join(" ");
                let (params, results) = (types(&signature.params), types(&signature.results));
                let _infallible =
                    writeln!(imports, "(import {module:?} {name:?} (func (param {params}) (result {results})))");
            }
        }
        Self { imports, world: ALL_OF_WASI.to_owned(), ..Self::default() }
    }
}

/// The imports of `wasi:cli/command`.
pub(crate) const ALL_OF_WASI: &str = "include wasi:cli/imports@0.2.12;";

fn core_type(of: WasmType) -> &'static str {
    match of {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

/// The contract and WASI, with the world of a plugin that has further imports.
fn resolve(imports: &str) -> (Resolve, wit_parser::WorldId) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    for package in ["io", "random", "clocks", "filesystem", "sockets", "cli"] {
        resolve.push_file(here.join(format!("tests/hostile/wasi/{package}.wit"))).expect("WASI's WIT is right");
    }
    resolve.push_dir(here.join("../wit")).expect("the contract is right");
    for (package, interface) in [("other:others", "thing"), ("web:http@0.1.0", "client")] {
        let text = format!("package {package}; interface {interface} {{ touch: func(); }}");
        resolve.push_str("other.wit", &text).expect("it is right");
    }
    let text = format!("package test:attack; world attack {{ include qualm:detector/plugin@0.1.2; {imports} }}");
    let package = resolve.push_str("attack.wit", &text).expect("the world is right");
    let world = resolve.select_world(&[package], None).expect("there is one");
    (resolve, world)
}

/// Adds an inner component in the text format, which is instantiated along with the outer one.
pub(crate) fn nest(component: &[u8], inner: &str) -> Vec<u8> {
    let inner = wat::parse_str(inner).expect("the text is right");
    let (mut depth, mut components) = (0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("it is right") {
            Payload::ComponentSection { .. } => {
                components += u32::from(depth == 0);
                depth += 1;
            }
            Payload::ModuleSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    let mut out = component.to_vec();
    section(&mut out, 4, &inner);
    let mut instance = vec![1, 0];
    leb(&mut instance, components as usize);
    instance.push(0);
    section(&mut out, 5, &instance);
    out
}

/// Nested components.
pub(crate) fn deep(levels: usize) -> Vec<u8> {
    let inner = format!("{}{}", "(component ".repeat(levels), ")".repeat(levels));
    nest(&Core::default().build(), &inner)
}

fn section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    leb(out, content.len());
    out.extend_from_slice(content);
}

fn leb(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A component whose compilation takes gigabytes: many variables, each of which changes in each of many loops.
pub(crate) fn expensive_to_compile(variables: usize, loops: usize) -> Vec<u8> {
    let changes: String = (0..variables)
        .map(|at| format!("(local.set {at} (i64.add (local.get {at}) (local.get {})))", (at * 7 + 1) % variables))
        .collect();
    let begin: String = (0..loops).map(|at| format!("(loop $l{at} ")).collect();
    let end: String =
        (0..loops).rev().map(|at| format!("(br_if $l{at} (i64.eqz (local.get {}))))", at % variables)).collect();
    let locals = "i64 ".repeat(variables);
    let text = format!("(component (core module (func (local {locals}) {begin} {changes} {end})))");
    nest(&Core::default().build(), &text)
}

/// A component that instantiates 2^`levels` modules in a few lines.
pub(crate) fn exponential(levels: usize) -> Vec<u8> {
    let mut text = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=levels {
        let below = level - 1;
        let _infallible = write!(
            text,
            "(component $c{level} (alias outer 1 $c{below} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))"
        );
    }
    nest(&Core::default().build(), &format!("(component {text} (instance (instantiate $c{levels})))"))
}

/// Two components, one of which passes a long text to the other in an endless loop at instantiation: the host copies it.
pub(crate) fn transcode(from: &str, to: &str, pages: u32, length: u32) -> Vec<u8> {
    let text = format!(
        "(component
            (component $callee
                (core module $m
                    (memory (export \"memory\") {pages})
                    (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                    (func (export \"take\") (param i32 i32)))
                (core instance $i (instantiate $m))
                (func (export \"take\") (param \"text\" string)
                    (canon lift (core func $i \"take\") (memory $i \"memory\") (realloc (func $i \"realloc\"))
                        string-encoding={to})))
            (component $caller
                (import \"take\" (func $take (param \"text\" string)))
                (core module $lib (memory (export \"memory\") {pages}))
                (core instance $lib (instantiate $lib))
                (core func $lowered (canon lower (func $take) (memory $lib \"memory\") string-encoding={from}))
                (core module $m
                    (import \"\" \"take\" (func $take (param i32 i32)))
                    (func $start (loop $again (call $take (i32.const 0) (i32.const {length})) (br $again)))
                    (start $start))
                (core instance (instantiate $m (with \"\" (instance (export \"take\" (func $lowered)))))))
            (instance $callee (instantiate $callee))
            (instance (instantiate $caller (with \"take\" (func $callee \"take\")))))"
    );
    nest(&Core::default().build(), &text)
}
