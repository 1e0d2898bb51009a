package hostward.rmi;

import java.net.URI;
import java.rmi.registry.LocateRegistry;
import java.util.Hashtable;
import javax.naming.Context;
import javax.naming.InitialContext;
import javax.naming.Name;
import javax.naming.NamingException;
import javax.naming.spi.ObjectFactory;

/** Looks up rmi://host:port/name for nodetool, on a Java without the module jdk.naming.rmi. */
public class rmiURLContextFactory implements ObjectFactory {
    @Override
    public Object getObjectInstance(Object object, Name name, Context context, Hashtable<?, ?> environment)
            throws NamingException {
        return new InitialContext(true) {
            @Override
            public Object lookup(String url) throws NamingException {
                try {
                    URI uri = URI.create(url);
                    return LocateRegistry.getRegistry(uri.getHost(), uri.getPort()).lookup(uri.getPath().substring(1));
                } catch (Exception error) {
                    NamingException wrapped = new NamingException(error.getMessage());
                    wrapped.setRootCause(error);
                    throw wrapped;
                }
            }
        };
    }
}
