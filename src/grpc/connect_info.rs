//! Where a connection comes from, as tonic asks for it.

use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::app::connection::accept::Connection;
use crate::app::connection::time_limit::TimeLimited;

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.socket().connect_info()
    }
}

impl<C: Connected> Connected for TimeLimited<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> C::ConnectInfo {
        self.inner().connect_info()
    }
}
