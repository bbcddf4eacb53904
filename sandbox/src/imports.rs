//! What a guest may call: the log, and WASI without rights.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, WasmStr};
use wasmtime::{Engine, Result, StoreContextMut, bail};

use crate::guest_log::Level;
use crate::inspect::LOG_INTERFACE;
use crate::meter::Meter;
use crate::wasi;

/// Links the imports of a component, which were [inspected](crate::inspect) before.
///
/// # Errors
///
/// If an import has an unexpected type.
pub(crate) fn link(engine: &Engine, component: &Component) -> Result<Linker<Meter>> {
    let mut linker = Linker::new(engine);
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else {
            bail!("it imports `{name}`, which is no interface");
        };
        let mut instance = linker.instance(name)?;
        for (item, export) in interface.exports(engine) {
            match export.ty {
                ComponentItem::Resource(_) => instance.resource(item, wasi::resource(item), |_, _| Ok(()))?,
                ComponentItem::ComponentFunc(_) => function(&mut instance, name, item)?,
                _ => {} // types
            }
        }
    }
    Ok(linker)
}

fn function(instance: &mut LinkerInstance<'_, Meter>, interface: &str, function: &str) -> Result<()> {
    if interface.starts_with(LOG_INTERFACE) && function == "write" {
        return instance.func_wrap(
            function,
            |store: StoreContextMut<'_, Meter>, (level, message): (Level, WasmStr)| {
                // Not copied: most of a long line is cut, and lines of a flood are dropped.
                store.data().log.write(level, &message.to_str(&store)?);
                Ok(())
            },
        );
    }
    let (unversioned, _) = interface.rsplit_once('@').unwrap_or((interface, ""));
    if wasi::define_function(instance, unversioned, function)? {
        return Ok(());
    }
    let called = format!("{unversioned}#{function}");
    instance.func_new(function, move |_, _, _, _| bail!("it called `{called}`, which no detector may"))
}
