import io.debezium.engine.*; import io.debezium.engine.format.*; import io.debezium.embedded.Connect;
import org.apache.kafka.connect.source.SourceRecord; import org.apache.kafka.connect.json.JsonConverter; import org.apache.kafka.connect.storage.*; import org.apache.kafka.connect.header.*;
import java.util.*; import java.io.*; import java.nio.charset.StandardCharsets; import java.util.concurrent.*;
public class Record {
  static String js(byte[] b){ return b==null?"null":new String(b,StandardCharsets.UTF_8); }
  static String q(String s){ StringBuilder o=new StringBuilder("\""); for(char c: s.toCharArray()){ if(c=='"'||c=='\\') o.append('\\').append(c); else if(c<32) o.append(String.format("\\u%04x",(int)c)); else o.append(c);} return o.append('"').toString(); }
  public static void main(String[] a) throws Exception {
    Properties p=new Properties(); p.load(new FileReader(a[0]));
    JsonConverter[] kc=new JsonConverter[2], vc=new JsonConverter[2]; OutputStream[] out=new OutputStream[2];
    for(int i=0;i<2;i++){ kc[i]=new JsonConverter(); vc[i]=new JsonConverter(); Map<String,Object> m=new HashMap<>(); m.put("schemas.enable", i==1); kc[i].configure(m,true); vc[i].configure(m,false); out[i]=new BufferedOutputStream(new FileOutputStream(a[1]+(i==0?".jsonl":".schema.jsonl"))); }
    SimpleHeaderConverter hc=new SimpleHeaderConverter(); hc.configure(new HashMap<>());
    CountDownLatch done=new CountDownLatch(1);
    DebeziumEngine<ChangeEvent<SourceRecord,SourceRecord>> e=DebeziumEngine.create(Connect.class).using(p).using((ok,msg,err)->{ if(!ok){System.err.println(msg); if(err!=null) err.printStackTrace();} done.countDown(); }).notifying(ce->{
      SourceRecord r=ce.value(); if(r==null) return;
      try { if(r.topic().endsWith(".message") && js(kc[0].fromConnectData(r.topic(),r.keySchema(),r.key())).contains("parity")) { done.countDown(); return; }
      StringBuilder h=new StringBuilder("{"); boolean f=true; for(org.apache.kafka.connect.header.Header x: r.headers()){ if(!f)h.append(", "); f=false; h.append(q(x.key())).append(": ").append(q(js(hc.fromConnectHeader(r.topic(),x.key(),x.schema(),x.value())))); } h.append("}");
      for(int i=0;i<2;i++){ String l="{\"topic\":"+q(r.topic())+",\"key\":"+(r.key()==null?"null":js(kc[i].fromConnectData(r.topic(),r.keySchema(),r.key())))+",\"value\":"+(r.value()==null?"null":js(vc[i].fromConnectData(r.topic(),r.valueSchema(),r.value())))+",\"headers\":"+h+"}\n"; out[i].write(l.getBytes(StandardCharsets.UTF_8)); }
      } catch(Throwable t){ System.err.println("REC "+r.topic()+" "+t); }
    }).build();
    ExecutorService x=Executors.newSingleThreadExecutor(); x.execute(e); done.await(120,TimeUnit.SECONDS); for(OutputStream o:out)o.close(); try{e.close();}catch(Throwable t){} System.exit(0);
  }
}
